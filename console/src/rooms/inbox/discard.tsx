import { useState } from "preact/hooks";
import { Act } from "../../ui/actions";

/** Discarding needs a note that says why. */
export function Discard(props: {
  label: string;
  says: string;
  address: string;
  body?: object;
  onDone: () => void;
}) {
  const [note, setNote] = useState<string | null>(null);
  if (note === null) return <button onClick={() => setNote("")}>{props.label}</button>;
  return (
    <span class="row">
      <input
        placeholder="Why?"
        aria-label="Why it is discarded"
        value={note}
        onInput={(event) => setNote(event.currentTarget.value)}
        onKeyDown={(event) => {
          const next = event.currentTarget.nextElementSibling;
          if (event.key === "Enter" && next instanceof HTMLElement) next.click();
        }}
        autofocus
      />
      <Act
        label={props.label}
        disabled={!note.trim()}
        says={
          <p>
            {props.says} will not be loaded. Note: “{note}”.
          </p>
        }
        address={props.address}
        body={{ ...props.body, note }}
        onDone={() => {
          setNote(null);
          props.onDone();
        }}
      />
      <button class="quiet" onClick={() => setNote(null)}>
        Leave it
      </button>
    </span>
  );
}
