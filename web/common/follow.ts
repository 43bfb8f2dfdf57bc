// Keeps a log at its newest line while its reader is there, and leaves the reader in peace while reading further up.
// It must never move what is being read: older entries put before it push nothing, new ones are only counted.
// Used by both pages on the element that scrolls.
import type { RefObject } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

const NEAR = 64;

export interface Follow {
  /** The reader is further up. */
  away: boolean;
  /** Entries that came since the reader went up. */
  missed: number;
  toLatest(): void;
}

/**
 * `first` and `last` are the seqs held; `own` counts this side's words on their way: writing brings one to the end.
 * `fresh`: its reader never was here before, and begins at the beginning of what is held.
 */
export function useFollow(
  log: RefObject<HTMLElement | null>,
  first: number,
  last: number,
  own: number,
  fresh = false,
): Follow {
  const held = useRef({ first, last, own, height: 0, atEnd: true });
  const [away, setAway] = useState(false);
  const [missed, setMissed] = useState(0);

  const toLatest = () => {
    const element = log.current;
    if (!element) return;
    element.scrollTop = element.scrollHeight;
    held.current.atEnd = true;
    setAway(false);
    setMissed(0);
  };

  useLayoutEffect(() => {
    const element = log.current;
    if (!element) return;
    const was = held.current;
    const olderCame = first < was.first && was.first > 0;
    const started = was.last === 0 && last > 0;
    if (olderCame) element.scrollTop += element.scrollHeight - was.height;
    else if (started && fresh) held.current.atEnd = begin(element);
    else if (was.atEnd || started || own > was.own) toLatest();
    else if (last > was.last) setMissed((count) => count + last - was.last);
    setAway(!held.current.atEnd);
    held.current = { first, last, own, height: element.scrollHeight, atEnd: held.current.atEnd };
  });

  useEffect(() => {
    const element = log.current;
    if (!element) return;
    const look = () => {
      const atEnd = element.scrollHeight - element.scrollTop - element.clientHeight < NEAR;
      held.current.atEnd = atEnd;
      held.current.height = element.scrollHeight;
      setAway(!atEnd);
      if (atEnd) setMissed(0);
    };
    const stay = () => {
      if (held.current.atEnd) element.scrollTop = element.scrollHeight;
      held.current.height = element.scrollHeight;
    };
    element.addEventListener("scroll", look, { passive: true });
    const observer = new ResizeObserver(stay);
    observer.observe(element);
    for (const child of element.children) observer.observe(child);
    return () => {
      element.removeEventListener("scroll", look);
      observer.disconnect();
    };
  }, [log.current]);

  return { away, missed, toLatest };
}

/** Shows the first line; says whether that is the last one too. */
function begin(element: HTMLElement): boolean {
  element.scrollTop = 0;
  return element.scrollHeight - element.clientHeight < NEAR;
}
