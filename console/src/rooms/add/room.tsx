// Add data: a dropped file, what it was taken for and why, what is open, and its run.
// PUT /files/csv/{path}, GET /files/csv, GET /sources/csv/inspect, POST /files/mapping, POST /ingest, GET /runs/{id}.

import { useState } from "preact/hooks";
import { addressOf, Refused, type Schemas } from "../../api/client";
import { plural, short } from "../../format/numbers";
import { choose, leaveOthers, letGo, takeNext, useDropped } from "../../state/dropped";
import { change, usePlace } from "../../state/place";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Panel } from "../../ui/panel";
import { Table } from "../../ui/table";
import { Badge, Go } from "../../ui/parts";
import { Strip } from "../../ui/strip";
import { Arrived, askedIn } from "./arrived";
import { suggested, upload } from "./upload";

const READ = /\.(csv|tsv|zip)$|\.(csv|tsv)\.(gz|zst)$/i;

export function Add() {
  const place = usePlace();
  const { file, others } = useDropped();
  const path = place["path"];
  return (
    <>
      <div class="head">
        <h1>Add data</h1>
      </div>
      {file ? (
        <Upload key={file.name + file.size} file={file} onEnd={letGo} />
      ) : (
        <Choose onFiles={choose} />
      )}
      {others.length > 0 && <Others of={others} />}
      {path && !file && <Arrived key={path} path={path} />}
      <Files chosen={path} />
    </>
  );
}

const MOST_ASKED = 5; // each costs a look into the file
const STATES: Record<string, [tone: "good" | "warn" | "bad" | "", text: string]> = {
  new: ["warn", "not ingested yet"],
  finished: ["good", "ingested ✓"],
  failed: ["bad", "not read"],
};

/** All files that are there, with what became of each. GET /files/csv. */
function Files({ chosen }: { chosen: string | undefined }) {
  const files = useAnswer("/files/csv", { limit: 1000 });
  if (files.data && !files.data.length) return null;
  return (
    <Panel title="Files" answer={files} lines={4} empty="There is no file yet.">
      {(found) => {
        let fresh = 0;
        return (
          <>
            <New of={found} />
            <Table head={["File", "State", "Why"]}>
              {found.map((each) => (
                <tr key={each.path} aria-selected={each.path === chosen}>
                  <td class="wrap">
                    <Go to={{ room: "add", path: each.path }}>{each.path}</Go>
                  </td>
                  <td>
                    <State of={each} />
                  </td>
                  <td class="wrap soft">
                    <Why of={each} isAsked={each.status === "new" && fresh++ < MOST_ASKED} />
                  </td>
                </tr>
              ))}
            </Table>
          </>
        );
      }}
    </Panel>
  );
}

function State({ of: file }: { of: Schemas["CsvFileState"] }) {
  const [tone, text] = STATES[file.status] ?? ["", file.status];
  if (file.is_corrected && file.status === "finished")
    return <Badge tone="warn">corrected, not ingested since</Badge>;
  return <Badge tone={tone}>{text}</Badge>;
}

/** Why it is not read; of one that nobody has ingested, what would be asked. */
function Why({ of: file, isAsked }: { of: Schemas["CsvFileState"]; isAsked: boolean }) {
  if (file.message) return <>{askedIn(file.message)}</>;
  if (file.is_corrected) return <>mapping.yaml says something else of it since it was read.</>;
  return isAsked ? <Asked path={file.path} /> : null;
}

/** GET /sources/csv/inspect. */
function Asked({ path }: { path: string }) {
  const refused = useAnswer("/sources/csv/inspect", { path }).data?.refused;
  return refused ? <>It needs an answer: {askedIn(refused.message)}</> : null;
}

/** Those that nobody has ingested yet, at once. POST /ingest. */
function New({ of: files }: { of: Schemas["CsvFileState"][] }) {
  const fresh = files.filter((each) => each.status === "new");
  if (fresh.length < 2) return null;
  return (
    <div class="row">
      <Act
        label={`Ingest the ${fresh.length} that are new`}
        address={addressOf("/ingest")}
        body={{ streams: fresh.map((each) => each.stream) }}
        onDone={(answer) =>
          change({ room: "runs", run: (answer as Schemas["IngestAccepted"]).run_id })
        }
      />
    </div>
  );
}

/** Each is looked at by itself: what it was taken for is for a person to see. */
function Others({ of: files }: { of: File[] }) {
  return (
    <div class="row" role="status">
      <span class="soft">{plural(files.length, "file")} more:</span>
      <span class="wrap">{files.map((each) => each.name).join(", ")}</span>
      <button onClick={takeNext}>Take {files[0]!.name} now</button>
      <button class="quiet" onClick={leaveOthers}>
        Leave them
      </button>
    </div>
  );
}

function Choose({ onFiles }: { onFiles: (files: File[]) => void }) {
  return (
    <label class="panel drop">
      <strong>Drop a CSV file anywhere</strong>
      <span class="soft">or choose some: .csv, .tsv, also packed as .gz, .zst or .zip</span>
      <input
        type="file"
        multiple
        aria-label="A CSV file"
        onChange={(event) => onFiles([...(event.currentTarget.files ?? [])])}
      />
    </label>
  );
}

/** Where it goes, and how far it has come. */
function Upload({ file, onEnd }: { file: File; onEnd: () => void }) {
  const [path, setPath] = useState(suggested(file.name));
  const [share, setShare] = useState<number | null>(null);
  const [refused, setRefused] = useState<Refused | null>(null);
  const start = async (replace: boolean) => {
    setShare(0);
    setRefused(null);
    try {
      await upload(file, path, replace, setShare);
      outdate("/files/csv", "/sources");
      change({ path, run: null });
      onEnd();
    } catch (error) {
      setRefused(error instanceof Refused ? error : new Refused(0, String(error), path));
      setShare(null);
    }
  };
  const isTaken = refused?.status === 409 && refused.message.includes("there already");
  return (
    <section class="panel" aria-label="Upload">
      <header>
        <h2>{file.name}</h2>
        <span class="soft">{short(file.size)}B</span>
      </header>
      <div class="body">
        <div class="row">
          <label class="field">
            <span>
              Where it is kept: a folder, and a name. Files of one folder are one dataset.
            </span>
            <input
              value={path}
              size={40}
              onInput={(event) => {
                setPath(event.currentTarget.value.trim());
                setRefused(null);
              }}
              disabled={share !== null}
            />
          </label>
          {isTaken ? (
            <button class="main" onClick={() => void start(true)}>
              Replace it
            </button>
          ) : (
            <button
              class="main"
              disabled={share !== null || !READ.test(path)}
              onClick={() => void start(false)}
            >
              Upload
            </button>
          )}
          <button disabled={share !== null} onClick={onEnd}>
            Cancel
          </button>
        </div>
        {share !== null && (
          <Strip
            label="How far the upload has come"
            pieces={[
              { from: 0, to: share, colour: "--accent", text: `${Math.round(share * 100)} %` },
            ]}
          />
        )}
        {!READ.test(path) && (
          <p class="error" role="alert">
            Files are read that end in .csv, .tsv, .csv.gz, .csv.zst or .zip.
          </p>
        )}
        {refused && (
          <p class="error" role="alert">
            {isTaken
              ? `${path} is there already: replace it, or give it another name.`
              : refused.message}
          </p>
        )}
      </div>
    </section>
  );
}
