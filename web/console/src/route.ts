// The address is the state of the view: /console/c/<id> is the open conversation, the query holds the list's filters.
// Going back and forth and sharing an address with a colleague must give the same picture. Read and changed by desk.ts.
import { signal } from "@preact/signals";

export interface Filter {
  status: "open" | "snoozed" | "closed" | "all";
  stage: string;
  unread: boolean;
  q: string;
  oldest: boolean;
}

export interface Route {
  conversation: string | null;
  filter: Filter;
}

function read(): Route {
  const id = /^\/console\/c\/([^/]+)/.exec(location.pathname)?.[1];
  const query = new URLSearchParams(location.search);
  const status = query.get("status");
  return {
    conversation: id ? decodeURIComponent(id) : null,
    filter: {
      status: status === "closed" || status === "all" || status === "snoozed" ? status : "open",
      stage: query.get("stage") ?? "",
      unread: query.has("unread"),
      q: query.get("q") ?? "",
      oldest: query.get("sort") === "oldest",
    },
  };
}

export const route = signal<Route>(read());
addEventListener("popstate", () => {
  route.value = read();
});

export function address({ conversation, filter }: Route): string {
  const query = new URLSearchParams();
  if (filter.status !== "open") query.set("status", filter.status);
  if (filter.stage) query.set("stage", filter.stage);
  if (filter.unread) query.set("unread", "1");
  if (filter.q) query.set("q", filter.q);
  if (filter.oldest) query.set("sort", "oldest");
  const path = conversation ? `/console/c/${encodeURIComponent(conversation)}` : "/console";
  const search = query.toString();
  return search === "" ? path : `${path}?${search}`;
}

export function show(conversation: string | null): void {
  route.value = { ...route.value, conversation };
  history.pushState(null, "", address(route.value));
}

export function refine(change: Partial<Filter>): void {
  route.value = { ...route.value, filter: { ...route.value.filter, ...change } };
  history.replaceState(null, "", address(route.value));
}
