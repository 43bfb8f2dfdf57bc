// Signed out: the sign-in page. Signed in: rail, list, thread and context, side by side or taking turns on a narrow screen.
// It owns the desk's life: one for each time somebody signs in.
import { useEffect, useState } from "preact/hooks";
import { Desk } from "./desk.ts";
import { FirstRun, PickOne } from "./first-run.tsx";
import { InboxList } from "./inbox.tsx";
import { Login } from "./login.tsx";
import { NewConversation } from "./new-dialog.tsx";
import { Rail } from "./rail.tsx";
import { route } from "./route.ts";
import type { Session } from "./session.ts";
import { ShareDialog } from "./share-dialog.tsx";
import { Side } from "./side.tsx";
import { Thread } from "./thread.tsx";

export function App({ session }: { session: Session }) {
  const state = session.state.value;
  const [desk, setDesk] = useState<Desk | null>(null);
  useEffect(() => {
    if (state !== "in") return;
    const made = new Desk(session);
    setDesk(made);
    return () => {
      made.close();
      setDesk(null);
    };
  }, [session, state]);
  if (state === "out") return <Login session={session} />;
  if (state === "restoring" || !desk) return null;
  return <Frame desk={desk} />;
}

type Open = "new" | "share" | null;

function Frame({ desk }: { desk: Desk }) {
  const [dialog, setDialog] = useState<Open>(null);
  const { conversation, filter } = route.value;
  const rows = desk.rows.value;
  const narrowed = filter.stage !== "" || filter.q !== "" || filter.unread || filter.status !== "open";
  const firstRun = !conversation && rows?.length === 0 && !narrowed;
  return (
    <div class={conversation ? "frame at-thread" : "frame at-list"}>
      <Rail desk={desk} />
      <InboxList desk={desk} onNew={() => setDialog("new")} />
      {conversation ? (
        <>
          <Thread key={conversation} desk={desk} onShare={() => setDialog("share")} />
          <Side desk={desk} onLinks={() => setDialog("share")} />
        </>
      ) : firstRun ? (
        <FirstRun onNew={() => setDialog("new")} />
      ) : (
        <PickOne />
      )}
      {dialog === "new" && <NewConversation desk={desk} onClose={() => setDialog(null)} />}
      {dialog === "share" && conversation && (
        <ShareDialog key={conversation} desk={desk} onClose={() => setDialog(null)} />
      )}
    </div>
  );
}
