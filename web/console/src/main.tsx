// The console starts here: theme, session, then the first picture. Next: app.tsx for what shows, desk.ts for what happens.
// It must ask no other host for anything and keep no access token outside memory.
import { render } from "preact";
import "../../common/tokens.css";
import "./console.css";
import "./inbox.css";
import "./side.css";
import "./thread.css";
import "./composer.css";
import "./offer.css";
import "./dialog.css";
import "./full.css";
import "../../common/words.css";
import { Boundary } from "../../common/boundary.tsx";
import { App } from "./app.tsx";
import { Session } from "./session.ts";
import { S } from "./strings.ts";
import { wearTheme } from "./theme.ts";

wearTheme();
const session = new Session();
void session.restore();
const root = document.getElementById("app");
if (root) {
  render(
    <Boundary title={S.broken} words={S.brokenWords} action={S.reload}>
      <App session={session} />
    </Boundary>,
    root,
  );
}
