import { useState } from "preact/hooks";
import { addressOf } from "../../api/client";
import { outdate } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Go } from "../../ui/parts";
import type { Schemas } from "../../api/client";

/** Days of a coin's history, asked of CoinPaprika. */
export function History() {
  const [from, setFrom] = useState("");
  const [to, setTo] = useState("");
  const [run, setRun] = useState<string | null>(null);
  return (
    <section class="panel" aria-label="Days of history">
      <header>
        <h2>Days of history</h2>
      </header>
      <div class="body row form">
        <label class="field">
          <span>From</span>
          <input type="date" value={from} onInput={(event) => setFrom(event.currentTarget.value)} />
        </label>
        <label class="field">
          <span>To, not included</span>
          <input type="date" value={to} onInput={(event) => setTo(event.currentTarget.value)} />
        </label>
        <Act
          label="Ask CoinPaprika"
          disabled={!from || !to}
          says={
            <p>
              It asks for the days from {from} to {to} of every configured coin, at least one call
              each. What is there already is compared, not doubled.
            </p>
          }
          address={addressOf("/ingest")}
          body={{ sources: ["coinpaprika"], from, to }}
          onDone={(answer) => {
            setRun((answer as Schemas["IngestAccepted"]).run_id);
            outdate("/stats");
          }}
        />
        {run && <Go to={{ room: "runs", run }}>watch it</Go>}
      </div>
    </section>
  );
}
