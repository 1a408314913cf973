// Pipeline: the services and the topics between them, what waits where, the last hour.
// GET /health, GET /services, GET /stats.

import { useEffect } from "preact/hooks";
import type { Schemas } from "../../api/client";
import { bytes, count } from "../../format/numbers";
import { outdate, useAnswer } from "../../state/answers";
import { Panel } from "../../ui/panel";
import { Badge, Facts } from "../../ui/parts";
import { Hour } from "./hour";
import { Instances } from "./instances";
import { Picture } from "./picture";
import { byMinute } from "./rates";

const EVERY_MS = 5_000;
type Instance = Schemas["ServiceInstance"];

export function Pipeline() {
  const health = useAnswer("/health");
  const services = useAnswer("/services");
  const runs = useAnswer("/stats", { limit: 100 });
  useEffect(() => {
    // Services tell of themselves every five seconds; no event says so.
    const timer = setInterval(() => outdate("/services", "/health"), EVERY_MS);
    return () => clearInterval(timer);
  }, []);
  return (
    <>
      <div class="head">
        <h1>Pipeline</h1>
      </div>
      <Panel title="From source to answer" answer={health} lines={8} empty="Nothing is known.">
        {(now) => (
          <>
            <Picture lag={now.lag ?? {}} instances={services.data ?? []} />
            <Facts
              of={{
                PostgreSQL: (
                  <Badge tone={now.database.connected ? "good" : "bad"}>
                    {now.database.connected ? `${now.database.latency_ms} ms` : "away"}
                  </Badge>
                ),
                Kafka: (
                  <Badge tone={now.kafka.connected ? "good" : "bad"}>
                    {now.kafka.connected ? "connected" : "away"}
                  </Badge>
                ),
              }}
            />
          </>
        )}
      </Panel>
      <Panel
        title="Instances"
        answer={services}
        flush
        lines={4}
        empty="No service has told of itself yet: wait some seconds."
      >
        {(found) => (found.length ? <Instances of={found} /> : null)}
      </Panel>
      <Panel title="The last hour" answer={services} empty="Nothing is known of the last hour.">
        {(found) => (found.length ? <LastHour of={found} /> : null)}
      </Panel>
      <Panel title="Runs of the last hour" answer={runs} empty="Nothing ran in the last hour.">
        {(found) => {
          const hour = Date.now() - 3_600_000;
          // A preview has stored nothing.
          const recent = found.filter(
            (run) => Date.parse(run.requested_at ?? "") > hour && run.preview === null,
          );
          if (!recent.length) return null;
          const sum = (name: "records" | "inserted" | "updated" | "rejected") =>
            recent.reduce((whole, run) => whole + run[name], 0);
          return (
            <Facts
              of={{
                runs: count(recent.length),
                records: count(sum("records")),
                inserted: count(sum("inserted")),
                updated: count(sum("updated")),
                rejected: count(sum("rejected")),
              }}
            />
          );
        }}
      </Panel>
    </>
  );
}

function LastHour({ of }: { of: Instance[] }) {
  const now = Date.now();
  const loaders = of.filter((each) => each.service === "loader");
  const rate = (value: number) => `${count(Math.round(value))} records/s`;
  return (
    <>
      <Hour
        title="Stored"
        values={byMinute(loaders, now, (each) => each.records_per_second)}
        text={rate}
      />
      <Hour
        title="Waiting for the loader"
        values={byMinute(loaders.slice(0, 1), now, (each) => each.waiting)}
        text={(value) => `${count(value)} pages`}
      />
      <Hour
        title="Memory of all services"
        values={byMinute(of, now, (each) => each.memory_bytes)}
        text={bytes}
      />
    </>
  );
}
