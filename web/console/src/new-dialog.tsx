// Starting a conversation: one question, one button. The wish keeps its key, so pressing twice makes one conversation.
import { asParlourError, newUuid } from "@parlour/client";
import { useState } from "preact/hooks";
import { Alert } from "../../common/icon.tsx";
import { Dialog } from "./bits.tsx";
import type { Desk } from "./desk.ts";
import { S } from "./strings.ts";

export function NewConversation({ desk, onClose }: { desk: Desk; onClose(): void }) {
  const [title, setTitle] = useState("");
  const [key] = useState(() => newUuid());
  const [busy, setBusy] = useState(false);
  const [problem, setProblem] = useState<string | null>(null);
  const create = async () => {
    if (busy || title.trim() === "") return;
    setBusy(true);
    try {
      await desk.create(title.trim(), key);
      onClose();
    } catch (reason) {
      setBusy(false);
      setProblem(asParlourError(reason).message);
    }
  };
  return (
    <Dialog title={S.newTitle} size="small" onClose={onClose}>
      <form
        class="body"
        onSubmit={(event) => {
          event.preventDefault();
          void create();
        }}
      >
        <label class="field">
          <span class="lab">{S.nameIt}</span>
          <input
            class="input"
            required
            maxLength={200}
            placeholder={S.namePlaceholder}
            value={title}
            onInput={(event) => setTitle(event.currentTarget.value)}
          />
        </label>
        {problem && (
          <p class="hint bad" role="alert">
            <Alert class="sm" />
            {problem}
          </p>
        )}
        <div class="actions">
          <button type="button" class="btn ghost" onClick={onClose}>
            {S.cancel}
          </button>
          <button type="submit" class="btn primary" aria-busy={busy}>
            {busy && <span class="spin" />}
            {S.create}
          </button>
        </div>
      </form>
    </Dialog>
  );
}
