// Sources: every stream, when it succeeded last, what fails in words, what calls are left.
// GET /sources, GET /stats, GET /checkpoints, POST /ingest, DELETE /checkpoints/{stream}.

import type { Schemas } from "../../api/client";
import { addressOf } from "../../api/client";
import { count } from "../../format/numbers";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Ago, Moment } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Table } from "../../ui/table";
import { Badge, Dot, Go } from "../../ui/parts";
import { Strip } from "../../ui/strip";
import { Coins } from "./coins";
import { Feeds } from "./feeds";
import { Heartbeat } from "./heartbeat";
import { History } from "./history";
import { Ingest } from "./ingest";
import { Pause } from "./pause";

type State = Schemas["SourceState"];
type Stream = Schemas["CheckpointState"];

export function Sources() {
  const sources = useAnswer("/sources");
  const streams = useAnswer("/checkpoints", { limit: 1000 });
  return (
    <>
      <div class="head">
        <h1>Sources</h1>
        <div class="end">
          <Pause what="*" label="everything" />
          <Ingest />
        </div>
      </div>
      <Panel title="Sources" answer={sources} flush empty="No source is configured.">
        {(found) => (found.length ? <Listed of={found} /> : null)}
      </Panel>
      <Panel
        title="Streams and where they stand"
        answer={streams}
        flush
        lines={8}
        empty={
          <>
            <strong>Nothing was read yet.</strong> <Ingest />
          </>
        }
      >
        {(found) => (found.length ? <Streams of={found} failing={failing(sources.data)} /> : null)}
      </Panel>
      <Feeds />
      <Coins />
      <History />
    </>
  );
}

function failing(sources: State[] | undefined): Map<string, Schemas["Failing"]> {
  const all = (sources ?? []).flatMap((source) => source.failing);
  return new Map(all.map((each) => [each.stream, each]));
}

function Listed({ of: sources }: { of: State[] }) {
  const runs = useAnswer("/stats", { limit: 1000 });
  return (
    <Table
      head={[
        "Source",
        ["Streams", "right"],
        "Last success",
        "30 days",
        "Failing",
        "Calls this month",
        "What to do",
      ]}
    >
      {sources.map((source) => (
        <tr key={source.name}>
          <td>
            <Dot tone={source.failing_streams ? "bad" : source.last_success_at ? "good" : ""} />
            <strong>{source.name}</strong>
          </td>
          <td class="right">{count(source.streams)}</td>
          <td>
            <Ago time={source.last_success_at} />
          </td>
          <td>
            <Heartbeat source={source.name} runs={runs.data ?? []} />
          </td>
          <td class="wrap">
            <Failing of={source} />
          </td>
          <td>{source.budget ? <Budget of={source.budget} /> : <span class="soft">free</span>}</td>
          <td class="right">
            <span class="row">
              <Ingest source={source.name as Schemas["Source"]} />
              <Pause what={source.name} />
            </span>
          </td>
        </tr>
      ))}
    </Table>
  );
}

function Failing({ of: source }: { of: State }) {
  if (!source.failing.length) return <span class="soft">none</span>;
  return (
    <>
      {source.failing.slice(0, 3).map((each) => (
        <div key={each.stream}>
          {source.name === "csv" ? (
            <Go to={{ room: "add", path: each.stream.replace(/^csv\//, "") }}>{each.stream}</Go>
          ) : (
            each.stream
          )}
          :{" "}
          <span class="loss">
            {each.message.split(" write into CSV_DIR")[0]!.replace(/[:\s]+$/, "")}
          </span>
          {each.not_before && (
            <span class="soft">
              {" "}
              Next try:{" "}
              {Date.parse(each.not_before) > Date.now() ? (
                <Moment time={each.not_before} />
              ) : (
                "when it is asked for"
              )}
            </span>
          )}
        </div>
      ))}
      {source.failing_streams > 3 && <div>and {count(source.failing_streams - 3)} more</div>}
    </>
  );
}

/** What is used of the month, and what it will come to. */
function Budget({ of: budget }: { of: Schemas["Budget"] }) {
  const most = budget.per_month;
  if (most === null) return <>{count(budget.used)}</>;
  const forecast = budget.forecast_per_month ?? null;
  const text = `${count(budget.used)} of ${count(most)}`;
  return (
    <div>
      {text}
      {forecast !== null && (
        <span class={forecast > most ? "care" : "soft"}>
          {" "}
          · {forecast ? `schedules make ${count(forecast)}` : "nothing is scheduled"}
        </span>
      )}
      <Strip
        label={text}
        pieces={[{ from: 0, to: Math.min(1, budget.used / most), colour: "--accent", text }]}
      />
    </div>
  );
}

function Streams(props: { of: Stream[]; failing: Map<string, Schemas["Failing"]> }) {
  return (
    <Table head={["Stream", "State", "Moved", "Newest page", "What to do"]}>
      {props.of.map((stream) => (
        <tr key={stream.stream}>
          <td class="wrap">{stream.stream}</td>
          <td>
            <StateOf stream={stream} failing={props.failing.get(stream.stream)} />
          </td>
          <td>
            <Ago time={stream.moved_at} />
          </td>
          <td class="mono" title={JSON.stringify(stream.cursor)}>
            {stream.published.offset < 0
              ? "–"
              : `${stream.published.partition}:${stream.published.offset}`}
          </td>
          <td class="right">
            <Act
              label="Read again"
              says={
                <p>
                  Press “Ingest now” afterwards: the next run reads <strong>{stream.stream}</strong>{" "}
                  from its start. What has not changed stays as it is; nothing is deleted.
                </p>
              }
              method="DELETE"
              address={addressOf("/checkpoints/{stream}", {}, { stream: stream.stream })}
              onDone={() => outdate("/checkpoints", "/stats")}
            />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function StateOf(props: { stream: Stream; failing: Schemas["Failing"] | undefined }) {
  if (props.failing) return <Badge tone="bad">{props.failing.code.replaceAll("_", " ")}</Badge>;
  const { published, loaded } = props.stream;
  if (published.offset < 0 && !loaded) return <Badge tone="">nothing came yet</Badge>;
  const isElsewhere = loaded && loaded.partition !== published.partition;
  const isLoaded = loaded && (isElsewhere || loaded.offset >= published.offset);
  return isLoaded ? <Badge tone="good">loaded</Badge> : <Badge tone="warn">on its way</Badge>;
}
