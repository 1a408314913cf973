// Add data: a dropped file, what it was taken for and why, what is open, and its run.
// PUT /files/csv/{path}, GET /sources/csv/inspect, POST /files/mapping, POST /ingest, GET /runs/{id}.

import { useState } from "preact/hooks";
import { Refused } from "../../api/client";
import { plural, short } from "../../format/numbers";
import { choose, leaveOthers, letGo, takeNext, useDropped } from "../../state/dropped";
import { change, usePlace } from "../../state/place";
import { useAnswer } from "../../state/answers";
import { Go } from "../../ui/parts";
import { Strip } from "../../ui/strip";
import { Arrived } from "./arrived";
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
      {!path && !file && <Open />}
      {path && !file && <Arrived key={path} path={path} />}
    </>
  );
}

/** Files that nobody can read as they are: what is open is settled here. GET /sources. */
function Open() {
  const sources = useAnswer("/sources");
  const failing = sources.data?.find((each) => each.name === "csv")?.failing ?? [];
  if (!failing.length) return null;
  return (
    <section class="panel" aria-label="Files that are open">
      <header>
        <h2>Files that are open</h2>
      </header>
      <div class="body">
        {failing.map((each) => (
          <p key={each.stream} class="wrap">
            <Go to={{ room: "add", path: each.stream.replace(/^csv\//, "") }}>
              {each.stream.replace(/^csv\//, "")}
            </Go>{" "}
            <span class="soft">{each.message.split(" write into CSV_DIR")[0]}</span>
          </p>
        ))}
      </div>
    </section>
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
            <span>Its name below CSV_DIR. Files of one folder are one dataset.</span>
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
