// Webhooks: who is told what happens, and what came of it.
// GET /webhooks, DELETE /webhooks/{name}, POST /webhooks/{name}/test, GET /webhooks/{name}/deliveries.

import { useEffect, useState } from "preact/hooks";
import { addressOf, type Schemas } from "../../api/client";
import { outdate, useAnswer } from "../../state/answers";
import { Act } from "../../ui/actions";
import { Ago } from "../../ui/moments";
import { Panel } from "../../ui/panel";
import { Badge, Go } from "../../ui/parts";
import { Table } from "../../ui/table";
import { Configured } from "../sources/configured";
import { Make } from "./make";
import { told } from "./words";

type State = Schemas["WebhookState"];
type Delivery = Schemas["Delivery"];
const LOOK_MS = 5_000;
const MOST = 50;

export function Webhooks() {
  const webhooks = useAnswer("/webhooks");
  const [chosen, choose] = useState<string | null>(null);
  return (
    <>
      <div class="head">
        <h1>Webhooks</h1>
        <span class="soft">Addresses that are told what happens, signed.</span>
      </div>
      <Panel
        title="By name"
        answer={webhooks}
        flush
        empty={
          <>
            <strong>Nobody is told anything.</strong> Add an address below.
          </>
        }
      >
        {(found) => (found.length ? <Listed of={found} onChoose={choose} /> : null)}
      </Panel>
      {chosen && <Told key={chosen} name={chosen} />}
      <Make />
    </>
  );
}

function Listed(props: { of: State[]; onChoose: (name: string) => void }) {
  return (
    <Table head={["Name", "Address", "Told", "Set", "What to do"]}>
      {props.of.map((each) => (
        <tr key={each.name}>
          <td class="wrap">
            <strong>{each.name}</strong>
            {each.note && <div class="soft">{each.note}</div>}
          </td>
          <td class="wrap mono">{each.url}</td>
          <td class="wrap">{told(each)}</td>
          <td>
            <Configured of={each} />
          </td>
          <td class="right">
            <span class="row">
              <button onClick={() => props.onChoose(each.name)}>What it was told</button>
              <Act
                label="Send a test"
                address={addressOf("/webhooks/{name}/test", {}, { name: each.name })}
                onDone={() => props.onChoose(each.name)}
              />
              <Act
                label="Remove"
                says={<p>{each.name} is told nothing any more, nor what waits to be told again.</p>}
                method="DELETE"
                address={addressOf("/webhooks/{name}", {}, { name: each.name })}
                onDone={() => outdate("/webhooks")}
              />
            </span>
          </td>
        </tr>
      ))}
    </Table>
  );
}

/** Asked for again and again: what is told arrives, or does not, within seconds. */
function Told({ name }: { name: string }) {
  const deliveries = useAnswer("/webhooks/{name}/deliveries", { limit: MOST }, { name });
  useEffect(() => {
    const clock = setInterval(() => outdate("/webhooks"), LOOK_MS);
    return () => clearInterval(clock);
  }, []);
  return (
    <Panel
      title={`What ${name} was told`}
      answer={deliveries}
      flush
      empty="Nothing yet. What is told stands here a few seconds later."
    >
      {(found) =>
        found.length ? (
          <Table head={["When", "What", "Of", "Attempts", "Answer"]}>
            {found.map((each) => (
              <tr key={each.id}>
                <td>
                  <Ago time={each.created_at} />
                </td>
                <td>{each.type}</td>
                <td class="wrap">
                  <About of={each} />
                </td>
                <td class="right">{each.attempts}</td>
                <td class="wrap">
                  <Outcome of={each} />
                </td>
              </tr>
            ))}
          </Table>
        ) : null
      }
    </Panel>
  );
}

function About({ of: delivery }: { of: Delivery }) {
  const run = delivery.data["run_id"];
  if (typeof run === "string") return <Go to={{ room: "runs", run }}>run {run.slice(0, 8)}</Go>;
  const found = delivery.data["symbol"] ?? delivery.data["source"] ?? delivery.data["series"];
  return <>{typeof found === "string" ? found : "–"}</>;
}

function Outcome({ of: delivery }: { of: Delivery }) {
  const why = delivery.error ?? `HTTP ${delivery.status}`;
  if (delivery.delivered_at) return <Badge tone="good">arrived</Badge>;
  if (!delivery.given_up_at) return <Badge tone="warn">tried again: {why}</Badge>;
  return (
    <>
      <Badge tone="bad">given up</Badge> {why}. <Go to={{ room: "inbox" }}>Inbox: send it again</Go>
    </>
  );
}
