// The organization's sign: its logo when it has one on this host, else its initials. Never a picture from elsewhere.
import { useState } from "preact/hooks";
import { initials } from "../../common/format.ts";
import type { Organization } from "./facts.ts";

export function Logo({ organization }: { organization: Organization }) {
  const [failed, setFailed] = useState(false);
  const { logo, name } = organization;
  if (logo && !failed && isOurs(logo)) return <img class="logo" src={logo} alt="" onError={() => setFailed(true)} />;
  return (
    <span class="logo letters" aria-hidden="true">
      {initials(name)}
    </span>
  );
}

/** A picture from another host would be refused by the page's policy, and tell that host who looks. */
function isOurs(address: string): boolean {
  try {
    return new URL(address, location.href).origin === location.origin;
  } catch {
    return false;
  }
}
