import { useState } from "preact/hooks";
import { addressOf, read, Refused } from "./api/client";
import { forgetKey, keepKey } from "./api/key";

/** Asks for the API key, and keeps it for this session alone. */
export function Door(props: { refused: string | null; onKey: () => void }) {
  const [text, setText] = useState("");
  const [refused, setRefused] = useState(props.refused);
  const enter = async (event: Event) => {
    event.preventDefault();
    keepKey(text.trim());
    try {
      await read(addressOf("/latest", { limit: 1 }));
      props.onKey();
    } catch (error) {
      forgetKey();
      const isWrong = error instanceof Refused && error.status === 403;
      setRefused(isWrong ? "That key is wrong." : String(error));
    }
  };
  return (
    <main class="panel door">
      <h1>Crypto ingest</h1>
      <p class="soft">
        Prices, history and news of coins, each with where it comes from. The key is{" "}
        <code>API_KEY</code> in <code>.env</code>; where there is none, <code>test-api-key</code>.
        It stays in this tab, and goes when the tab is closed. On the machine itself,{" "}
        <code>make open</code> comes in without it.
      </p>
      <form onSubmit={(event) => void enter(event)}>
        <input
          type="password"
          aria-label="API key"
          placeholder="Key, such as test-api-key"
          autocomplete="off"
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          autofocus
        />
        <button class="main" disabled={!text.trim()}>
          Open
        </button>
      </form>
      {refused && (
        <p class="error" role="alert">
          {refused}
        </p>
      )}
    </main>
  );
}
