// Never a blank screen: what breaks while drawing becomes one sentence and a way out.
// It must not swallow the error: the console still shows it. Wraps the root of both pages.
import { Component, type ComponentChildren } from "preact";

interface Props {
  title: string;
  words: string;
  action: string;
  children: ComponentChildren;
}

export class Boundary extends Component<Props, { broken: boolean }> {
  override state = { broken: false };

  static override getDerivedStateFromError(): { broken: boolean } {
    return { broken: true };
  }

  override componentDidCatch(error: unknown): void {
    console.error(error);
  }

  override render({ title, words, action, children }: Props) {
    if (!this.state.broken) return children;
    return (
      <div class="broken" role="alert">
        <h1>{title}</h1>
        <p>{words}</p>
        <button type="button" class="btn primary" onClick={() => location.reload()}>
          {action}
        </button>
      </div>
    );
  }
}
