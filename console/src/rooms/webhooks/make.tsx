// An address to tell. PUT /webhooks/{name}.

import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { outdate } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Select, Text } from "../../ui/fields";
import { ShownOnce } from "../../ui/shown_once";

type New = Schemas["NewWebhook"];
type Condition = NonNullable<New["conditions"]>[number];
const EVENTS: Record<string, New["events"]> = {
  failed: ["run.failed", "stream.failed"],
  ended: ["run.ended"],
  none: [],
};
const SAID = {
  failed: "runs and streams that fail",
  ended: "the end of every run",
  none: "no run",
};
const WATCHED = {
  none: "nothing else",
  PriceCrosses: "a price that goes above or below",
  PriceChanges: "a price that moves",
  MoodIs: "news of a mood",
  IsStale: "a source that is silent",
};
const SOURCES = { coinpaprika: "coinpaprika", coingecko: "coingecko", csv: "csv", rss: "rss" };

/** The secret of its signatures is shown once. */
export function Make() {
  const [name, setName] = useState("");
  const [url, setUrl] = useState("");
  const [events, setEvents] = useState("failed");
  const [also, setAlso] = useState<Condition | null>(null);
  const [made, setMade] = useState<Schemas["MadeWebhook"] | null>(null);
  const body: New = { url: url.trim(), events: EVENTS[events]!, conditions: also ? [also] : [] };
  const says = events !== "none" || also !== null;
  return (
    <section class="panel" aria-label="An address to tell">
      <header>
        <h2>Tell an address</h2>
      </header>
      <div class="body row form">
        <Text label="Name" value={name} onChange={setName} hint="on-call" size={12} />
        <Text
          label="Address"
          value={url}
          onChange={setUrl}
          hint="https://example.org/hook"
          size={30}
        />
        <Select label="Told" value={events} values={SAID} onChange={setEvents} />
        <Watched of={also} onChange={setAlso} />
        <Act
          label="Save"
          main
          disabled={!name.trim() || !url.trim() || !says}
          method="PUT"
          address={addressOf("/webhooks/{name}", {}, { name: name.trim() })}
          body={body}
          onDone={(answer) => {
            setMade(answer as Schemas["MadeWebhook"]);
            setName("");
            setUrl("");
            outdate("/webhooks");
          }}
        />
      </div>
      {made && (
        <div class="say">
          <ShownOnce
            says={`What signs to ${made.name}, shown this once:`}
            secret={made.secret}
            onSeen={() => setMade(null)}
          />
        </div>
      )}
    </section>
  );
}

const FIRST: Record<string, Condition> = {
  PriceCrosses: { type: "PriceCrosses", symbol: "btc", price: "100000", direction: "above" },
  PriceChanges: { type: "PriceChanges", symbol: "btc", percent: 5, within_s: 3600 },
  MoodIs: { type: "MoodIs", symbol: "btc", sentiment: -0.5 },
  IsStale: { type: "IsStale", source: "rss", after_s: 3600 },
};

function Watched(props: { of: Condition | null; onChange: (of: Condition | null) => void }) {
  const { of, onChange } = props;
  return (
    <>
      <Select
        label="And also"
        value={of?.type ?? "none"}
        values={WATCHED}
        onChange={(type) => onChange(FIRST[type] ?? null)}
      />
      {of && "symbol" in of && (
        <Text
          label="Symbol"
          value={of.symbol}
          onChange={(symbol) => onChange({ ...of, symbol: symbol.trim() })}
          size={8}
        />
      )}
      {of && <Bounds key={of.type} of={of} onChange={onChange} />}
    </>
  );
}

function Bounds(props: { of: Condition; onChange: (of: Condition) => void }) {
  const { of, onChange } = props;
  if (of.type === "PriceCrosses")
    return (
      <>
        <Select
          label="Goes"
          value={of.direction}
          values={{ above: "above", below: "below" }}
          onChange={(direction) =>
            onChange({ ...of, direction: direction as Schemas["Direction"] })
          }
        />
        <Text label="Price" value={of.price} onChange={(price) => onChange({ ...of, price })} />
      </>
    );
  if (of.type === "PriceChanges")
    return (
      <>
        <Amount
          label="Percent"
          of={of.percent}
          onChange={(percent) => onChange({ ...of, percent })}
        />
        <Amount
          label="Within seconds"
          of={of.within_s}
          onChange={(within_s) => onChange({ ...of, within_s })}
        />
      </>
    );
  if (of.type === "MoodIs")
    return (
      <Amount
        label="Mood, −1 to 1"
        of={of.sentiment}
        onChange={(sentiment) => onChange({ ...of, sentiment })}
      />
    );
  return (
    <>
      <Select
        label="Source"
        value={of.source}
        values={SOURCES}
        onChange={(source) => onChange({ ...of, source: source as Schemas["Source"] })}
      />
      <Amount
        label="Silent for seconds"
        of={of.after_s}
        onChange={(after_s) => onChange({ ...of, after_s })}
      />
    </>
  );
}

/** What is no number is sent as null, and refused by the API in its own words. */
function Amount(props: { label: string; of: number; onChange: (value: number) => void }) {
  const [text, setText] = useState(String(props.of));
  return (
    <Text
      label={props.label}
      value={text}
      size={8}
      onChange={(given) => {
        setText(given);
        props.onChange(given.trim() ? Number(given) : Number.NaN);
      }}
    />
  );
}
