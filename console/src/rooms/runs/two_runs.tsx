import { useState } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { useAnswer, useKept } from "../../state/answers";
import { change } from "../../state/place";
import { Moment } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Go } from "../../ui/parts";

type Kind = Schemas["DiffKind"];
/** What says most comes first. */
const KINDS: Kind[] = ["changed", "only_in_a", "only_in_b"];
const WORDS: Record<string, string> = {
  changed: "changed",
  only_in_a: "only in the older",
  only_in_b: "only in the newer",
};

/** What two runs made of the same records, field by field. */
export function TwoRuns({ a, b }: { a: string; b: string }) {
  const [chosen, choose] = useState<Kind | null>(null);
  const first = useAnswer("/runs/{run_a}/diff/{run_b}", { limit: 1 }, { run_a: a, run_b: b });
  const kind = chosen ?? KINDS.find((each) => first.data?.counts[each]) ?? "changed";
  const diff = useKept(
    useAnswer("/runs/{run_a}/diff/{run_b}", { kind, limit: 100 }, { run_a: a, run_b: b }),
    a + b,
  );
  return (
    <Panel
      title={`From run ${a.slice(0, 8)} to run ${b.slice(0, 8)}`}
      answer={diff}
      tools={<Go to={{ room: "runs" }}>close</Go>}
      empty="Neither run wrote anything."
    >
      {(found) => (
        <>
          <div class="choice" role="group" aria-label="Which differences">
            {KINDS.map((each) => (
              <button key={each} aria-pressed={each === kind} onClick={() => choose(each)}>
                {count(found.counts[each] ?? 0)} {WORDS[each]}
              </button>
            ))}
          </div>
          <p class="soft">
            {has(found.counts, "changed") || has(found.counts, "unchanged")
              ? `${count(found.counts["unchanged"] ?? 0)} are the same in both.`
              : "The two runs wrote nothing in common: they read other files or sources. Nothing of either is gone."}
          </p>
          <Differences of={found.differences} />
        </>
      )}
    </Panel>
  );
}

function has(counts: Record<string, number>, kind: string): boolean {
  return (counts[kind] ?? 0) > 0;
}

export function Differences(props: {
  of: {
    id: string;
    kind: string;
    stream: string;
    timestamp: string | null;
    fields: Schemas["FieldChange"][];
  }[];
}) {
  if (!props.of.length) return <p class="soft">No field differs.</p>;
  return (
    <div class="scroll" tabIndex={0}>
      <table>
        <tbody>
          {props.of.map((each) => (
            <tr key={each.id}>
              <td class="wrap">
                {each.stream} {each.timestamp && <Moment time={each.timestamp} />}
                <div class="soft">
                  {WORDS[each.kind] ?? each.kind.replaceAll("_", " ")} ·{" "}
                  <button class="quiet" onClick={() => change({ point: each.id }, true)}>
                    where from
                  </button>
                </div>
              </td>
              <td class="wrap mono">
                {each.fields.map((field) => (
                  <div key={field.field}>
                    {field.field} {field.old != null && <del>{shown(field.old)}</del>}{" "}
                    {field.new != null && <ins>{shown(field.new)}</ins>}
                  </div>
                ))}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  );
}

function shown(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
