import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { addressOf } from "../../api/client";
import { outdate } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Go } from "../../ui/parts";

/** "Ingest now", of everything or of one source, and the way to its run. */
export function Ingest({ source }: { source?: Schemas["Source"] }) {
  const [run, setRun] = useState<string | null>(null);
  return (
    <span class="row">
      {run && <Go to={{ room: "runs", run }}>watch it</Go>}
      <Act
        label="Ingest now"
        main={!source}
        address={addressOf("/ingest")}
        body={source ? { sources: [source] } : {}}
        onDone={(answer) => {
          setRun((answer as Schemas["IngestAccepted"]).run_id);
          outdate("/stats", "/health");
        }}
      />
    </span>
  );
}
