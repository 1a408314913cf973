import type { Schemas } from "../../api/client";
import { count } from "../../format/numbers";
import { useAnswer } from "../../state/answers";
import { Panel } from "../../ui/panel";
import { Table } from "../../ui/table";
import { Price } from "../../ui/figures";
import { Moment } from "../../ui/moments";
import { change } from "../../state/place";

/** The same prices of different sources, side by side. */
export function Sources({ symbol, interval }: { symbol: string; interval: string }) {
  const agreement = useAnswer("/agreement", { symbol, interval, limit: 500 });
  return (
    <Panel
      title="Sources compared"
      answer={agreement}
      empty="There is nothing to compare: no other series has prices of this coin in this currency."
    >
      {(found) => (found.series.length > 1 ? <Compared of={found} /> : null)}
    </Panel>
  );
}

function Compared({ of: found }: { of: Schemas["SourcesAgreement"] }) {
  return (
    <>
      <p>
        {count(found.agreed)} of {count(found.compared)} moments agree within{" "}
        {found.threshold_percent} %.
      </p>
      <Table
        head={[
          "Series",
          ["Compared", "right"],
          ["Mean deviation", "right"],
          ["Outliers", "right"],
          "Worst",
        ]}
      >
        {found.series.map((each) => (
          <tr key={each.ids[0]} class="pick" onClick={() => change({ dataset: each.dataset })}>
            <td>{each.dataset}</td>
            <td class="right">{count(each.compared)}</td>
            <td class="right">
              {each.mean_deviation_percent === null ? "–" : `${each.mean_deviation_percent} %`}
            </td>
            <td class="right">{count(each.outliers)}</td>
            <td>
              {each.worst && (
                <>
                  <Price value={each.worst.price} />{" "}
                  <span class="soft">
                    ({each.worst.deviation_percent} %, <Moment time={each.worst.time} />)
                  </span>
                </>
              )}
            </td>
          </tr>
        ))}
      </Table>
    </>
  );
}
