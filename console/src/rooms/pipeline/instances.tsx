import type { Schemas } from "../../api/client";
import { bytes, count } from "../../format/numbers";
import { span } from "../../format/times";
import { Ago, Moment } from "../../ui/moments";
import { Badge } from "../../ui/parts";
import { Table } from "../../ui/table";

type Instance = Schemas["ServiceInstance"];

/** Each process of each service, as it told of itself last. */
export function Instances({ of }: { of: Instance[] }) {
  return (
    <Table
      head={[
        "Service",
        "Instance",
        "State",
        ["Records/s", "right"],
        ["Records", "right"],
        ["Waiting", "right"],
        ["Memory", "right"],
        ["CPU", "right"],
        "Version",
        "Started",
      ]}
    >
      {of.map((each) => (
        <tr key={`${each.service} ${each.instance}`}>
          <td>{each.service}</td>
          <td class="mono">{each.instance}</td>
          <td>
            <State of={each} />
          </td>
          <td class="right">{count(Math.round(each.records_per_second))}</td>
          <td class="right" title="Since it was started">
            {count(each.records)}
          </td>
          <td class="right">{count(each.waiting)}</td>
          <td class="right">{bytes(each.memory_bytes)}</td>
          <td class="right" title="Time of the processor since it was started">
            {span(each.cpu_seconds)}
          </td>
          <td>{each.version}</td>
          <td>
            <Moment time={each.started_at} />
          </td>
        </tr>
      ))}
    </Table>
  );
}

function State({ of: instance }: { of: Instance }) {
  if (!instance.alive) {
    return (
      <>
        <Badge tone="bad">silent</Badge>{" "}
        <span class="soft">
          heard of <Ago time={instance.seen_at} />
        </span>
      </>
    );
  }
  if (instance.ready) return <Badge tone="good">ready</Badge>;
  return (
    <>
      <Badge tone="warn">not ready</Badge> <span class="soft">{instance.reason}</span>
    </>
  );
}
