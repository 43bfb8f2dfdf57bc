// The client page starts here: facts, colours, then the first picture. Nothing is claimed by looking.
// It must stay small (under 35 kB gzipped) and ask no other host for anything. Next: guest.ts for what happens, app.tsx for what shows.
import { render } from "preact";
import "../../common/tokens.css";
import "./page.css";
import "./log.css";
import "./offer.css";
import "../../common/words.css";
import { Boundary } from "../../common/boundary.tsx";
import { App } from "./app.tsx";
import { followKeyboard, wear } from "./brand.ts";
import { readFacts } from "./facts.ts";
import { Guest } from "./guest.ts";
import { S } from "./strings.ts";

const facts = readFacts();
wear(facts.organization);
followKeyboard();
const guest = new Guest(facts);
const root = document.getElementById("app");
if (root) {
  render(
    <Boundary title={S.appBroken} words={S.appBrokenWords} action={S.reload}>
      <App guest={guest} />
    </Boundary>,
    root,
  );
  guest.reportOpen();
}
