// The rail: the mark, where one is, and who one is. It lists only places that exist.
import { Inbox, Leave, Moon, Sun } from "../../common/icon.tsx";
import { Avatar, Mark } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { show } from "./route.ts";
import { S } from "./strings.ts";
import { switchTheme, theme } from "./theme.ts";

export function Rail({ desk }: { desk: Desk }) {
  const { unread } = desk;
  const name = desk.session.me.value?.user.name ?? "";
  const dark = theme.value === "dark";
  return (
    <nav class="rail" aria-label={S.main}>
      <div class="home">
        <Mark />
      </div>
      <a
        class="nav"
        href="/console"
        aria-current="page"
        onClick={(event) => {
          if (event.metaKey || event.ctrlKey) return;
          event.preventDefault();
          show(null);
        }}
      >
        <Inbox class="lg" />
        {S.inbox}
        {unread > 0 && (
          <span class="badge">
            {unread > 99 ? "99+" : unread}
            <span class="vh"> {S.unreadWord}</span>
          </span>
        )}
      </a>
      <div class="end">
        <button type="button" class="nav" onClick={switchTheme} aria-label={dark ? S.light : S.dark}>
          {dark ? <Sun class="lg" /> : <Moon class="lg" />}
          {dark ? "Light" : "Dark"}
        </button>
        <button type="button" class="nav" onClick={() => void desk.session.signOut()}>
          <Leave class="lg" />
          {S.signOut}
        </button>
        <span class="you" title={name}>
          <Avatar name={name} size="sm" me online={desk.line.value === "connected"} />
          <span class="vh">{name}</span>
        </span>
      </div>
    </nav>
  );
}
