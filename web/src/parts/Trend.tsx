// Counts of 24 hours as small bars.
import { count } from "../lib/format";

const heightPx = 20;

export function Trend({ counts }: { counts: number[] }) {
  const most = Math.max(1, ...counts);
  return (
    <svg className="trend" viewBox={`0 0 ${counts.length * 4} ${heightPx}`} role="img" aria-label={`${count(counts.reduce((a, b) => a + b, 0))} in 24 hours`} preserveAspectRatio="none">
      {counts.map((n, i) => {
        const height = n ? Math.max(2, (n / most) * heightPx) : 0.6;
        return <rect key={i} className={n ? "" : "none"} x={i * 4} width={3} y={heightPx - height} height={height} />;
      })}
    </svg>
  );
}
