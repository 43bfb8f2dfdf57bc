// A native dialog as a modal: focus goes in, and back to what opened it. Both pages use it in an effect, with what it answers as the cleanup.
// It must not decide what closes a dialog: its component listens to `cancel` and takes it out of the page.

/** Opens it; answers how to close it. */
export function openModal(dialog: HTMLDialogElement | null): () => void {
  const opener = document.activeElement;
  dialog?.showModal();
  return () => {
    dialog?.close();
    // The browser's own way back fails when the dialog leaves the page at the same time.
    setTimeout(() => opener instanceof HTMLElement && opener.isConnected && opener.focus());
  };
}
