// What both pages say about changing words that were said. A page's own strings add to it; nothing here knows a page.

export const WORDS = {
  more: "More for",
  edit: "Edit",
  remove: "Remove",
  removeAsk: "It goes for everybody, for good.",
  keep: "Keep",
  save: "Save",
  cancel: "Cancel",
  editLabel: "Edit message",
  edited: "edited",
  gone: (kind: string) => (kind === "note" ? "Note removed" : "Message removed"),
  notChanged: "Not changed.",
  refusals: {
    too_old: "Words can be edited for 15 minutes.",
    redacted: "They were removed already.",
  } as Record<string, string>,
  dismiss: "OK",
  tooLong: (max: number) => `At most ${max.toLocaleString("en-GB")} characters.`,
};
