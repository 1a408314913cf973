/** A secret that no answer holds again. */
export function ShownOnce(props: { says: string; secret: string; onSeen: () => void }) {
  return (
    <div class="row" role="status">
      <strong>{props.says}</strong>
      <pre>{props.secret}</pre>
      <button onClick={() => void navigator.clipboard.writeText(props.secret)}>Copy</button>
      <button class="quiet" onClick={props.onSeen}>
        I have it
      </button>
    </div>
  );
}
