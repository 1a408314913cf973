import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Text } from "../../ui/fields";
import { Panel } from "../../ui/panel";
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

function Add() {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [added, setAdded] = useState<string | null>(null);
  return (
    <div class="say row form">
      <Text label="Name" value={name} onChange={setName} hint="decrypt" size={14} />
      <Text
        label="Address of the feed"
        value={url}
        onChange={setUrl}
        hint="https://decrypt.co/feed"
        size={36}
      />
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
  );
}
