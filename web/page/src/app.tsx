// Which of the page's places is shown: the door, the room, or a friendly end. Nothing else is decided here.
// Places and their changes are in guest.ts.
import { Door, Ended } from "./door.tsx";
import type { Guest } from "./guest.ts";
import { RoomPage } from "./room-page.tsx";

export function App({ guest }: { guest: Guest }) {
  const place = guest.place.value;
  switch (place) {
    case "room":
      return <RoomPage guest={guest} />;
    case "door":
    case "entering":
      return <Door guest={guest} busy={place === "entering"} />;
    default:
      return <Ended facts={guest.facts} until={guest.ends.value} why={place} />;
  }
}
