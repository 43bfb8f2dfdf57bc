// The line icons of both pages: 20 × 20, drawn with the text's colour, hidden from screen readers (the words beside them speak).
// An icon must never be the only thing that says something. Each is its own constant, so a page ships only what it shows.

interface IconProps {
  class?: string;
}

function icon(path: string, filled?: string) {
  return function Icon({ class: extra = "" }: IconProps) {
    return (
      <svg class={`i ${extra}`} viewBox="0 0 20 20" aria-hidden="true">
        <path d={path} />
        {filled && <path d={filled} fill="currentColor" stroke="none" />}
      </svg>
    );
  };
}

const RING = "M3.3 10a6.7 6.7 0 1 0 13.4 0a6.7 6.7 0 1 0-13.4 0";
const PIE = "M4 10a6 6 0 1 0 12 0a6 6 0 1 0-12 0";

export const Alert = /* @__PURE__ */ icon(`${RING}M10 6.5v4M10 13.3h.01`);
export const ArrowRight = /* @__PURE__ */ icon("M3.5 10h13M12 5.5l4.5 4.5-4.5 4.5");
export const Back = /* @__PURE__ */ icon("M12.5 4.5 7 10l5.5 5.5");
export const Call = /* @__PURE__ */ icon(
  "M4 4.8c-.2 6 5.2 11.4 11.2 11.2.7 0 1.1-.5 1.1-1.1v-2.2a1 1 0 0 0-.8-1l-2.3-.5a1 1 0 0 0-1 .3l-.9 1a9.5 9.5 0 0 1-3.8-3.8l1-.9a1 1 0 0 0 .3-1l-.5-2.3a1 1 0 0 0-1-.8H5.1C4.5 3.7 4 4.1 4 4.8z",
);
export const CardIcon = /* @__PURE__ */ icon(
  "M5.500 4h9A2.500 2.500 0 0 1 17 6.500v7a2.500 2.500 0 0 1-2.500 2.500h-9A2.500 2.500 0 0 1 3 13.500v-7A2.500 2.500 0 0 1 5.500 4zM3 8h14M6 12h4",
);
export const Chat = /* @__PURE__ */ icon("M3.5 16.5 4.6 13A6.5 6.5 0 1 1 7 15.4z");
export const Check = /* @__PURE__ */ icon("m4.5 10.5 3.7 3.7 7.3-8");
export const Checks = /* @__PURE__ */ icon("m2 10.7 3.2 3.2 6.3-7M9.6 13.2l.7.7 6.7-7");
export const ChevronDown = /* @__PURE__ */ icon("m5.5 8 4.5 4.5L14.5 8");
export const ChevronRight = /* @__PURE__ */ icon("m8 5.5 4.5 4.5L8 14.5");
export const Clock = /* @__PURE__ */ icon(`${RING}M10 6.3V10l2.5 1.6`);
export const Compose = /* @__PURE__ */ icon(
  "M9.5 4H5.5A2 2 0 0 0 3.5 6v8.500a2 2 0 0 0 2 2H14a2 2 0 0 0 2-2v-4M8 12l.5-2.500 6.300-6.300a1.400 1.400 0 0 1 2 2L10.500 11.500z",
);
export const Copy = /* @__PURE__ */ icon(
  "M8.500 7h6A1.500 1.500 0 0 1 16 8.500v6a1.500 1.500 0 0 1-1.500 1.500h-6A1.500 1.500 0 0 1 7 14.500v-6A1.500 1.500 0 0 1 8.500 7zM13 7V5.500A1.500 1.500 0 0 0 11.500 4h-6A1.500 1.500 0 0 0 4 5.500v6A1.500 1.500 0 0 0 5.500 13H7",
);
export const Down = /* @__PURE__ */ icon("M10 4v11.500M5 10.700l5 5 5-5");
export const Eye = /* @__PURE__ */ icon(
  "M2.5 10S5.300 5 10 5s7.500 5 7.500 5-2.800 5-7.500 5-7.500-5-7.500-5zM7.800 10a2.200 2.200 0 1 0 4.400 0a2.200 2.200 0 1 0-4.400 0",
);
export const Inbox = /* @__PURE__ */ icon(
  "M3 11.5 5 4.600A1.500 1.500 0 0 1 6.400 3.500h7.200A1.500 1.500 0 0 1 15 4.600l2 6.900V15a1.500 1.500 0 0 1-1.500 1.500h-11A1.500 1.500 0 0 1 3 15zM3 11.500h4c.4 0 .7.3.9.7.3.8 1.100 1.300 2.100 1.300s1.800-.5 2.100-1.300c.2-.4.5-.7.9-.7h4",
);
export const Info = /* @__PURE__ */ icon(`${RING}M10 9.300v4M10 6.700h.01`);
export const Leave = /* @__PURE__ */ icon(
  "M8 3.500H5.500a2 2 0 0 0-2 2v9a2 2 0 0 0 2 2H8M8 10h8.500M13.200 6.700l3.300 3.300-3.300 3.300",
);
export const Links = /* @__PURE__ */ icon(
  "M8.300 11.700a3 3 0 0 0 4.300 0l2.900-2.900a3 3 0 0 0-4.300-4.300l-.9.9M11.700 8.300a3 3 0 0 0-4.300 0l-2.900 2.900a3 3 0 0 0 4.300 4.300l.9-.9",
);
export const Lock = /* @__PURE__ */ icon(
  "M6.500 9h7a2 2 0 0 1 2 2v3.500a2 2 0 0 1-2 2h-7a2 2 0 0 1-2-2V11a2 2 0 0 1 2-2zM7 9V6.500a3 3 0 0 1 6 0V9",
);
export const Mail = /* @__PURE__ */ icon(
  "M5 4.500h10a2 2 0 0 1 2 2v7a2 2 0 0 1-2 2H5a2 2 0 0 1-2-2v-7a2 2 0 0 1 2-2zM3.500 6l6.500 5 6.500-5",
);
export const More = /* @__PURE__ */ icon(
  "M10 10",
  "M3.400 10a1.400 1.400 0 1 0 2.800 0a1.400 1.400 0 1 0-2.800 0M8.600 10a1.400 1.400 0 1 0 2.800 0a1.400 1.400 0 1 0-2.800 0M13.800 10a1.400 1.400 0 1 0 2.800 0a1.400 1.400 0 1 0-2.800 0",
);
export const Minus = /* @__PURE__ */ icon("M4.5 10h11");
export const Moon = /* @__PURE__ */ icon("M15.800 11.800A6.500 6.500 0 0 1 8.200 4.200a6.500 6.500 0 1 0 7.600 7.600z");
export const Person = /* @__PURE__ */ icon(
  "M7 6.800a3 3 0 1 0 6 0a3 3 0 1 0-6 0M4 16.500c.5-3 2.800-4.500 6-4.500s5.500 1.500 6 4.500",
);
export const Plus = /* @__PURE__ */ icon("M10 4v12M4 10h12");
export const Retry = /* @__PURE__ */ icon("M15.8 8.5A6.2 6.2 0 1 0 16.2 11M16.2 4.5v4h-4");
export const Search = /* @__PURE__ */ icon("M4 9a5 5 0 1 0 10 0a5 5 0 1 0-10 0M13 13l3.500 3.500");
export const Send = /* @__PURE__ */ icon("M10 16V4.5M5 9.3l5-5 5 5");
export const ShareIcon = /* @__PURE__ */ icon(
  "M10 12.500V3.500M6.800 6.500 10 3.300l3.200 3.200M4 10.500v4a2 2 0 0 0 2 2h8a2 2 0 0 0 2-2v-4",
);
export const Sort = /* @__PURE__ */ icon("M6.5 4v12M3.8 13.300 6.500 16l2.700-2.700M11 6h6M11 10h4.500M11 14h3");
export const Spark = /* @__PURE__ */ icon(
  "M10 3.200c.6 3.900 2.200 5.900 6.300 6.800-4.100.9-5.700 2.900-6.300 6.800-.6-3.900-2.200-5.900-6.300-6.800C7.800 9.100 9.400 7.100 10 3.200z",
);
export const Stop = /* @__PURE__ */ icon(`${RING}M5.500 5.500l9 9`);
export const Sun = /* @__PURE__ */ icon(
  "M6.800 10a3.200 3.200 0 1 0 6.400 0a3.200 3.200 0 1 0-6.400 0M10 2.800v1.400M10 15.800v1.400M2.800 10h1.400M15.800 10h1.400M4.900 4.900l1 1M14.100 14.100l1 1M15.100 4.900l-1 1M5.900 14.100l-1 1",
);
export const WifiOff = /* @__PURE__ */ icon(
  "M3 3l14 14M5.500 11.200a6.800 6.800 0 0 1 2.600-1.500M3 8.300a10.500 10.500 0 0 1 3-2M9.300 5.300A10.400 10.400 0 0 1 17 8.300M12.300 9.700c.8.3 1.600.8 2.200 1.500M8 13.800a3 3 0 0 1 4 0M10 16.200h.01",
);
export const Close = /* @__PURE__ */ icon("m5 5 10 10M15 5 5 15");

export const StageLead = /* @__PURE__ */ icon(
  "M10 4a6 6 0 0 1 2.600.6M14.700 6.300a6 6 0 0 1 1.300 2.600M16 11.500a6 6 0 0 1-1.500 2.500M12.500 15.500a6 6 0 0 1-2.800.5M7.200 15.300a6 6 0 0 1-2-1.800M4.100 11.200a6 6 0 0 1 .2-3M5.500 6a6 6 0 0 1 2-1.500",
);
export const StageQualified = /* @__PURE__ */ icon(PIE, "M10 10V6.600a3.400 3.400 0 0 1 3.400 3.400z");
export const StageQuoted = /* @__PURE__ */ icon(PIE, "M10 6.600a3.400 3.400 0 0 1 0 6.800z");
export const StageBooked = /* @__PURE__ */ icon(PIE, "M10 10V6.600a3.400 3.400 0 1 1-3.400 3.400z");
export const StageLost = /* @__PURE__ */ icon(`${PIE}M8 8l4 4M12 8l-4 4`);

/** The one filled icon: a decision, a stage completed. */
export function Decided({ class: extra = "" }: IconProps) {
  return (
    <svg class={`i ${extra}`} viewBox="0 0 20 20" aria-hidden="true">
      <circle cx="10" cy="10" r="6.700" fill="currentColor" stroke="none" />
      <path class="cut" d="m7 10.200 2.100 2.100 4-4.400" />
    </svg>
  );
}
