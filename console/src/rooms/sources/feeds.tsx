import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { plural } from "../../format/numbers";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Text } from "../../ui/fields";
import { Moment } from "../../ui/moments";
import { Panel, Shape } from "../../ui/panel";
import { Badge } from "../../ui/parts";
import { Table } from "../../ui/table";
import { Configured } from "./configured";
import { Ingest } from "./ingest";
import { Pause } from "./pause";

const changed = () => outdate("/sources", "/checkpoints");

/** The feeds that are read; added, paused and taken out while all runs. */
export function Feeds() {
  const feeds = useAnswer("/sources/rss/feeds");
  return (
    <Panel
      title="Feeds"
      answer={feeds}
      flush
      empty={<strong>No feed is read. Add one below.</strong>}
    >
      {(found) => (
        <>
          <Table head={["Feed", "Address", "Configured", "State", "What to do"]}>
            {found.map((each) => (
              <Feed key={each.name} of={each} />
            ))}
          </Table>
          <Add />
        </>
      )}
    </Panel>
  );
}

function Feed({ of: feed }: { of: Schemas["FeedState"] }) {
  return (
    <tr>
      <td>{feed.name}</td>
      <td class="wrap">{feed.url}</td>
      <td>
        <Configured of={feed} />
      </td>
      <td>{feed.paused ? <Badge tone="warn">{feed.paused}</Badge> : "is read"}</td>
      <td class="right">
        <span class="row">
          <Pause what={feed.stream} />
          <Act
            label="Take out"
            says={<p>{feed.name} is read no more. What was read of it stays.</p>}
            method="DELETE"
            address={addressOf("/sources/rss/feeds/{name}", {}, { name: feed.name })}
            onDone={changed}
          />
        </span>
      </td>
    </tr>
  );
}

interface Found {
  url: string;
  title: string;
  format: string;
  entries: number;
  newest: string | null;
  sample: string[];
}

/** What an address leads to: seen before it is read. */
function Look({ run: id, onChoose }: { run: string; onChoose: (feed: Found) => void }) {
  const run = useAnswer("/runs/{run_id}", {}, { run_id: id });
  if (!run.data || ["queued", "running"].includes(run.data.status)) return <Shape lines={2} />;
  const found = run.data.tasks.flatMap(
    (task) => (task.profile as { feeds?: Found[] } | null)?.feeds ?? [],
  );
  if (!found.length) {
    return (
      <p class="error" role="alert">
        {run.data.message ?? "Nothing was found there."}
      </p>
    );
  }
  return (
    <ul class="say">
      {found.map((each) => (
        <li key={each.url}>
          <strong>{each.title || each.url}</strong>{" "}
          <span class="soft">
            {each.url} · {plural(each.entries, "entry").replace("entrys", "entries")}
            {each.newest && (
              <>
                , the newest of <Moment time={each.newest} />
              </>
            )}
          </span>{" "}
          <button onClick={() => onChoose(each)}>Take this one</button>
          <div class="soft">{each.sample.slice(0, 3).join(" · ")}</div>
        </li>
      ))}
    </ul>
  );
}

/** A name that the API takes, of a title. */
function named(title: string): string {
  return title
    .toLowerCase()
    .replace(/[^a-z0-9._-]+/g, "-")
    .replace(/^[-._]+|[-._]+$/g, "")
    .slice(0, 40);
}

function Add() {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [added, setAdded] = useState<string | null>(null);
  const [look, setLook] = useState<string | null>(null);
  return (
    <>
      {look && (
        <Look
          key={look}
          run={look}
          onChoose={(feed) => {
            setUrl(feed.url);
            setName(named(feed.title));
            setLook(null);
          }}
        />
      )}
      <div class="say row form">
        <Text
          label="Address of a feed, or of a site"
          value={url}
          onChange={setUrl}
          hint="https://decrypt.co"
          size={36}
        />
        <Act
          label="Look"
          disabled={!url.trim()}
          address={addressOf("/sources/rss/find")}
          body={{ url: url.trim() }}
          onDone={(answer) => setLook((answer as Schemas["RunAccepted"]).run_id)}
        />
        <Text label="Name" value={name} onChange={setName} hint="decrypt" size={14} />
        <Act
          label="Add feed"
          main
          disabled={!name.trim() || !url.trim()}
          method="PUT"
          address={addressOf("/sources/rss/feeds/{name}", {}, { name: name.trim() })}
          body={{ url: url.trim() }}
          onDone={() => {
            setAdded(name.trim());
            setName("");
            setUrl("");
            changed();
          }}
        />
        {added && (
          <span role="status">
            {added} is read from the next run on. <Ingest source="rss" />
          </span>
        )}
      </div>
    </>
  );
}
