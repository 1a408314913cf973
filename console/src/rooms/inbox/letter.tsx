import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Moment } from "../../ui/moments";
import { Shape } from "../../ui/panel";
import { Drawer, Facts, Go, Status } from "../../ui/parts";
import { Discard } from "./discard";
import { Payload } from "./payload";

/** What came of trying it again. */
function Again({ run: id, isOpen }: { run: string; isOpen: boolean }) {
  const run = useAnswer("/runs/{run_id}", {}, { run_id: id });
  const isOver = run.data && !["queued", "running"].includes(run.data.status);
  return (
    <p role="status">
      {!isOver && "It is being tried again in "}
      {isOver && outcome(isOpen, run.data!.rejected)}
      <Go to={{ room: "runs", run: id }}>run {id.slice(0, 8)}</Go>.
    </p>
  );
}

function outcome(isOpen: boolean, rejected: number): string {
  if (isOpen) return "It was refused again, for the same reason, in ";
  return rejected ? "It was refused again, and is another letter, by " : "It was loaded in ";
}

/** One dead letter: what was wrong, in the payload as it came. */
export function LetterDrawer(props: { id: string; onClose: () => void; onDone: () => void }) {
  const letter = useAnswer("/dead-letters/{letter_id}", {}, { letter_id: props.id });
  const found = letter.data;
  const [again, setAgain] = useState<string | null>(null);
  const done = () => {
    props.onDone();
    letter.again();
  };
  const address = (act: string) =>
    addressOf(`/dead-letters/{letter_id}/${act}`, {}, { letter_id: props.id });
  return (
    <Drawer title="Dead letter" onClose={props.onClose}>
      {letter.error && <div class="error">{letter.error.message}</div>}
      {!found && !letter.error && <Shape lines={6} />}
      {found && (
        <>
          <p>
            <strong>{found.message}</strong>
          </p>
          {found.source === "csv" && found.stream && (
            <p class="soft">
              Mend <Go to={{ room: "add", path: found.stream.replace(/^csv\//, "") }}>the file</Go>,
              upload it again under the same name and ingest it: this closes by itself when the file
              was read without it. Or discard it with a note. To requeue helps where the file is
              read in another way now.
            </p>
          )}
          <div class="row">
            <Status of={found.status} />
            {found.status === "open" && (
              <>
                <Act
                  label="Requeue"
                  address={address("requeue")}
                  onDone={(answer) => {
                    setAgain((answer as Schemas["RunAccepted"]).run_id);
                    done();
                  }}
                />
                <Discard
                  label="Discard"
                  says="This record"
                  address={address("discard")}
                  onDone={done}
                />
              </>
            )}
          </div>
          {again && <Again run={again} isOpen={found.status === "open"} />}
          <Facts
            of={{
              reason: found.reason.replaceAll("_", " "),
              field: found.field && <code>{found.field}</code>,
              stream: found.stream,
              line: found.origin?.["line"] != null && count(Number(found.origin["line"])),
              seen: found.count > 1 ? `${count(found.count)} times` : null,
              since: <Moment time={found.created_at} />,
              run: found.run_id && (
                <Go to={{ room: "runs", run: found.run_id }}>{found.run_id.slice(0, 8)}</Go>
              ),
              note: found.note,
            }}
          />
          <section>
            <h2>As it came</h2>
            <Payload of={found} />
          </section>
        </>
      )}
    </Drawer>
  );
}
