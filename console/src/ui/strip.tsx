export interface Piece {
  /** Shares of the whole, from 0 to 1. */
  from: number;
  to: number;
  /** The name of a colour, such as `--gain`. */
  colour: string;
  text: string;
}
const LEAST = 0.003; // so that a short one can be seen

/** A line of pieces over time; later ones lie over earlier ones. */
export function Strip({ pieces, label }: { pieces: Piece[]; label: string }) {
  return (
    <div class="strip">
      <svg viewBox="0 0 1 1" preserveAspectRatio="none" role="img" aria-label={label}>
        {pieces.map((piece, n) => (
          <rect
            key={n}
            x={Math.min(piece.from, 1 - LEAST)}
            width={Math.max(LEAST, piece.to - piece.from)}
            height="1"
            fill={`var(${piece.colour})`}
          >
            <title>{piece.text}</title>
          </rect>
        ))}
      </svg>
    </div>
  );
}
