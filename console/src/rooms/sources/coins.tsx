import { useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { plural } from "../../format/numbers";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Field } from "../../ui/fields";
import { Panel } from "../../ui/panel";
import { Configured } from "./configured";

const changed = () => outdate("/sources", "/schedules");

/** Which coins CoinPaprika is asked for, and what that costs. */
export function Coins() {
  const coins = useAnswer("/sources/{source}/coins", {}, { source: "coinpaprika" });
  return (
    <Panel title="Coins of CoinPaprika" answer={coins} empty="">
      {(found) => <Chosen key={found.ids.join()} of={found} />}
    </Panel>
  );
}

function Chosen({ of: coins }: { of: Schemas["CoinsState"] }) {
  const [text, setText] = useState(coins.ids.join(" "));
  const ids = text.split(/[\s,]+/).filter(Boolean);
  const address = addressOf("/sources/{source}/coins", {}, { source: "coinpaprika" });
  const isChanged = ids.join() !== coins.ids.join();
  return (
    <div class="row form">
      <Field label="Ids with blanks between them; * for all">
        <textarea
          rows={2}
          cols={60}
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
        />
      </Field>
      <Act
        label={`Ask for ${ids[0] === "*" ? "all coins" : plural(ids.length, "coin")}`}
        main
        disabled={!isChanged}
        method="PUT"
        address={address}
        body={{ ids }}
        onDone={changed}
      />
      {coins.origin !== "env" && (
        <Act
          label="Take those of .env"
          says={<p>COIN_IDS of .env counts again.</p>}
          method="DELETE"
          address={address}
          onDone={changed}
        />
      )}
      <Configured of={coins} />
      {coins.forecast?.warning && <p class="care">{coins.forecast.warning}</p>}
    </div>
  );
}
