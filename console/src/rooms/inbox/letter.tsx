import { addressOf } from "../../api/client";
import { count } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Moment } from "../../ui/moments";
import { Shape } from "../../ui/panel";
import { Drawer, Facts, Go, Status } from "../../ui/parts";
import { Discard } from "./discard";
import { indented } from "./indented";

/** One dead letter: what was wrong, in the payload as it came. */
export function LetterDrawer(props: { id: string; onClose: () => void; onDone: () => void }) {
  const letter = useAnswer("/dead-letters/{letter_id}", {}, { letter_id: props.id });
  const found = letter.data;
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
          {found.source === "csv" && (
            <p class="soft">
              Mend the file and upload it again under the same name, or discard this with a note.
              Its run names the line:{" "}
              {found.run_id && <Go to={{ room: "runs", run: found.run_id }}>run</Go>}.
            </p>
          )}
          <div class="row">
            <Status of={found.status} />
            {found.status === "open" && (
              <>
                <Act label="Requeue" address={address("requeue")} onDone={done} />
                <Discard
                  label="Discard"
                  says="This record"
                  address={address("discard")}
                  onDone={done}
                />
              </>
            )}
          </div>
          <Facts
            of={{
              reason: found.reason.replaceAll("_", " "),
              field: found.field && <code>{found.field}</code>,
              stream: found.stream,
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
            <Payload text={found.payload ?? ""} field={found.field} />
          </section>
        </>
      )}
    </Drawer>
  );
}

const MOST_LINES = 500;

/** The payload, with the lines that name the field marked. */
function Payload({ text, field }: { text: string; field: string | null }) {
  const lines = indented(text).split("\n");
  const shown = lines.slice(0, MOST_LINES);
  const name = field?.split(".").pop()?.toLowerCase();
  return (
    <pre>
      {shown.map((line, n) =>
        name && line.toLowerCase().includes(`"${name}"`) ? (
          <mark key={n}>{`${line}\n`}</mark>
        ) : (
          `${line}\n`
        ),
      )}
      {lines.length > MOST_LINES && `… and ${count(lines.length - MOST_LINES)} more lines`}
    </pre>
  );
}
