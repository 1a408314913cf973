import { addressOf, type Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { outdateAll, useAnswer } from "../../state/answers";
import { change } from "../../state/place";
import { Act } from "../../ui/actions";
import { Panel } from "../../ui/panel";
import { Status } from "../../ui/parts";
import { inConsole } from "../runs/words";
import { Differences } from "../runs/two_runs";

const WORDS: Record<string, string> = {
  added: "added",
  changed: "changed",
  retired: "taken out of sight",
  newer_stays: "newer values stay",
};

/** What a replay would change, before it does. */
export function Preview({ run }: { run: string }) {
  const state = useAnswer("/runs/{run_id}", {}, { run_id: run });
  const isOver = !["queued", "running"].includes(state.data?.status ?? "queued");
  const diff = useAnswer("/runs/{run_id}/diff", { limit: 100 }, isOver ? { run_id: run } : null);
  const act = (name: string) => addressOf(`/runs/{run_id}/${name}`, {}, { run_id: run });
  const done = () => {
    change({ preview: null });
    outdateAll();
  };
  return (
    <Panel<unknown>
      title={`Preview ${run.slice(0, 8)}`}
      answer={isOver ? diff : state}
      tools={state.data && !isOver && <Status of={state.data.status} />}
      empty="Nothing is known of it."
    >
      {() => {
        if (!isOver || !diff.data) return <p>The pages are being mapped again …</p>;
        const found: Schemas["PreviewDiff"] = diff.data;
        const changes = Object.entries(found.counts).filter(([, number]) => number > 0);
        const text = changes.length
          ? changes.map(([name, number]) => `${count(number)} ${WORDS[name] ?? name}`).join(" · ")
          : "Nothing would change.";
        return (
          <>
            <p>
              <strong>{text}</strong>
            </p>
            <div class="row">
              {changes.length > 0 && (
                <Act
                  label="Publish"
                  main
                  says={<p>{text}</p>}
                  address={act("publish")}
                  onDone={done}
                />
              )}
              <Act
                label={changes.length ? "Discard" : "Close the preview"}
                address={act("discard")}
                onDone={done}
              />
            </div>
            {state.data?.message && (
              <p class="soft">
                Of the records that were mapped again: {inConsole(state.data.message)}
              </p>
            )}
            {changes.length > 0 && <Differences of={found.changes} />}
          </>
        );
      }}
    </Panel>
  );
}
