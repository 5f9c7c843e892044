// The heat map's colours.

// Viridis at nine places: even in brightness, and safe for colour-blind readers.
const VIRIDIS = [
  "#440154", "#472d7b", "#3b528b", "#2c728e", "#21918c", "#28ae80", "#5ec962", "#addc30", "#fde725",
].map((hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16)));

// The colour of a share from 0 to 1.
export function viridis(share) {
  const place = Math.min(Math.max(share, 0), 1) * (VIRIDIS.length - 1);
  const low = Math.min(Math.floor(place), VIRIDIS.length - 2);
  const mix = VIRIDIS[low].map(
    (channel, i) => Math.round(channel + (VIRIDIS[low + 1][i] - channel) * (place - low)),
  );
  return `rgb(${mix.join(" ")})`;
}

// Relative L1 spans decades, so the scale from `low` to `high` is logarithmic.
export function logScale(low, high) {
  const [start, end] = [Math.log(low), Math.log(high)];
  return (value) => (end > start ? (Math.log(Math.max(value, low)) - start) / (end - start) : 0.5);
}
