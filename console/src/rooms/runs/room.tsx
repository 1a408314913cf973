// Runs: what was done, what came of it, and what two runs made differently.
// GET /stats, GET /runs/{run_id}, POST …/repair, …/cancel, …/undo, GET /runs/{a}/diff/{b}.

import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { span } from "../../format/times";
import { useAnswer } from "../../state/answers";
import { change, go, usePlace } from "../../state/place";
import { Ago } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Table } from "../../ui/table";
import { Status } from "../../ui/parts";
import { Ingest } from "../sources/ingest";
import { RunDrawer } from "./detail";
import { inConsole } from "./words";
import { TwoRuns } from "./two_runs";

type Run = Schemas["Run"];

const MOST_SHOWN = 2;

export function Runs() {
  const place = usePlace();
  const runs = useAnswer("/stats", { limit: 100 });
  const [chosen, setChosen] = useState<string[]>([]);
  const choose = (id: string) =>
    setChosen((before) =>
      before.includes(id) ? before.filter((each) => each !== id) : [...before, id].slice(-2),
    );
  const [a, b] = [place["a"], place["b"]];
  return (
    <>
      <div class="head">
        <h1>Runs</h1>
        <div class="end">
          <button disabled={chosen.length < 2} onClick={() => compare(runs.data ?? [], chosen)}>
            Compare two
          </button>
          <Ingest />
        </div>
      </div>
      {a && b && <TwoRuns a={a} b={b} />}
      <Panel
        title="Newest first"
        answer={runs}
        flush
        lines={8}
        empty={
          <>
            <strong>Nothing has run yet.</strong> <Ingest />
          </>
        }
      >
        {(found) =>
          found.length ? (
            <Table
              head={[
                "Compare",
                "Run",
                "Status",
                "When",
                ["Took", "right"],
                ["Inserted", "right"],
                ["Updated", "right"],
                ["Unchanged", "right"],
                ["Skipped", "right"],
                ["Rejected", "right"],
                "What it says",
              ]}
            >
              {found.map((run) => (
                <Row
                  key={run.run_id}
                  of={run}
                  isChosen={chosen.includes(run.run_id)}
                  isOpen={place["run"] === run.run_id}
                  onChoose={() => choose(run.run_id)}
                />
              ))}
            </Table>
          ) : null
        }
      </Panel>
      {place["run"] && (
        <RunDrawer
          key={place["run"]}
          id={place["run"]}
          onClose={() => change({ run: null }, true)}
        />
      )}
    </>
  );
}

/** What it was asked for. */
function whatOf(run: Run): string {
  const { streams, stream, sources } = run.request as Record<string, string[] | undefined>;
  const all = [streams ?? stream ?? sources ?? Object.keys(run.sources)].flat();
  return all.length > MOST_SHOWN
    ? `${all.slice(0, MOST_SHOWN).join(", ")} and ${count(all.length - MOST_SHOWN)} more`
    : all.join(", ");
}

/** The older one first, however they were chosen. */
function compare(runs: Run[], chosen: string[]): void {
  const [newer, older] = runs.filter((run) => chosen.includes(run.run_id));
  if (newer && older) go({ room: "runs", a: older.run_id, b: newer.run_id });
}

function Row(props: { of: Run; isChosen: boolean; isOpen: boolean; onChoose: () => void }) {
  const { of: run } = props;
  const error = run.errors[0];
  return (
    <tr class="pick" aria-selected={props.isOpen} onClick={() => change({ run: run.run_id }, true)}>
      <td onClick={(event) => event.stopPropagation()}>
        <input
          type="checkbox"
          checked={props.isChosen}
          onChange={props.onChoose}
          aria-label={`Choose run ${run.run_id.slice(0, 8)}`}
        />
      </td>
      <td>
        <button class="quiet">
          {run.preview === "open" ? `preview of a ${run.kind}` : run.kind}{" "}
          <span class="mono">{run.run_id.slice(0, 8)}</span>
        </button>
        <div class="soft">{whatOf(run)}</div>
      </td>
      <td>
        <Status of={run.status} />
      </td>
      <td>
        <Ago time={run.requested_at} />
      </td>
      <td class="right">{span(run.duration_seconds)}</td>
      <td class="right">{count(run.inserted)}</td>
      <td class="right">{count(run.updated)}</td>
      <td class="right">{count(run.unchanged)}</td>
      <td class="right">{count(run.skipped)}</td>
      <td class={`right ${run.rejected ? "care" : ""}`}>{count(run.rejected)}</td>
      <td class="wrap soft">{inConsole(run.message ?? error?.message ?? run.notes[0] ?? "")}</td>
    </tr>
  );
}
