import { addressOf, type Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { span } from "../../format/times";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { CopyMenu } from "../../ui/copy";
import { Moment, useNow } from "../../ui/moments";
import { Shape } from "../../ui/panel";
import { Drawer, Facts, Go, Status } from "../../ui/parts";
import { Gantt } from "./gantt";
import { Ledger } from "./ledger";
import { inConsole } from "./words";
import { secondsLeft } from "./progress";

type Run = Schemas["RunDetail"];

/** One run: its ledger, its tasks over time, what was refused and why. */
export function RunDrawer({ id, onClose }: { id: string; onClose: () => void }) {
  const run = useAnswer("/runs/{run_id}", {}, { run_id: id });
  return (
    <Drawer title={`Run ${id.slice(0, 8)}`} onClose={onClose}>
      {run.error && (
        <div class="error" role="alert">
          {run.error.message}
        </div>
      )}
      {!run.data && !run.error && <Shape lines={8} />}
      {run.data && (
        <>
          <Head of={run.data} address={run.address} />
          <Ledger of={run.data} />
          <Faults of={run.data} />
          <section>
            <h2>Tasks</h2>
            <Gantt tasks={run.data.tasks} />
          </section>
        </>
      )}
    </Drawer>
  );
}

function Head({ of: run, address }: { of: Run; address: string }) {
  const left = secondsLeft(run, useNow());
  return (
    <div>
      <div class="row">
        <Status of={run.status} />
        <Actions of={run} />
        <CopyMenu call={{ method: "GET", address }} />
      </div>
      <Facts
        of={{
          kind: run.preview ? `${run.kind}, ${run.preview}` : run.kind,
          asked: <Moment time={run.requested_at} />,
          took: span(run.duration_seconds),
          left: left === null ? null : `about ${span(left)}`,
          "records a second":
            run.duration_seconds && run.records
              ? count(Math.round(run.records / run.duration_seconds))
              : null,
          says: run.message && inConsole(run.message),
          notes: run.notes.join(" "),
        }}
      />
    </div>
  );
}

function Actions({ of: run }: { of: Run }) {
  const again = () => outdate("/stats", "/runs");
  const address = (act: string) => addressOf(`/runs/{run_id}/${act}`, {}, { run_id: run.run_id });
  if (run.status === "running" || run.status === "queued") {
    return (
      <Act
        label="Cancel"
        says={<p>What has been loaded stays; {count(run.tasks.length)} tasks are stopped.</p>}
        address={address("cancel")}
        onDone={again}
      />
    );
  }
  const isWhole = run.rejected > 0 && run.status === "partial" && !run.errors.length;
  if (run.status !== "succeeded" && run.kind === "ingest" && !isWhole) {
    return <Act label="Repair" address={address("repair")} onDone={again} />;
  }
  return null;
}

const MOST = 100;

/** Errors and refused records, grouped by reason. */
function Faults({ of: run }: { of: Run }) {
  if (!run.errors.length && !run.rejections.length && !run.skips.length) return null;
  return (
    <section>
      <h2>Errors and refusals</h2>
      {run.errors.slice(0, MOST).map((error) => (
        <p key={error.code + error.message} class="loss">
          {error.stream ? `${error.stream}: ` : ""}
          {error.message}
        </p>
      ))}
      {run.errors.length > MOST && <p>and {count(run.errors.length - MOST)} more errors</p>}
      {run.rejections.map((each) => (
        <p key={`${each.stream} ${each.reason} ${each.field}`}>
          <Go to={{ room: "inbox", reason: each.reason }}>
            {count(each.count)} × {each.reason}
          </Go>{" "}
          <span class="soft">
            {each.stream}
            {each.example_line && !each.example?.startsWith("line ")
              ? `, line ${count(each.example_line)}`
              : ""}
            : {each.example}
          </span>
        </p>
      ))}
      {run.skips.map((each) => (
        <p key={each.stream + each.reason} class="soft">
          {count(each.count)} skipped: {each.reason} ({each.stream})
        </p>
      ))}
    </section>
  );
}
