"""The look of a report: colours for light and dark, and a layout from a phone's width to a wide screen's."""

from __future__ import annotations

STYLE = """
:root {
  --paper: #ffffff; --card: #f6f7f9; --ink: #1c2430; --faint: #5b6675; --grid: #d5dae1;
  --first: #1664c0; --second: #b4560a; --good: #177245; --note: #7a5b00; --bad: #b3261e;
  --group-0: #2f74d0; --group-1: #dd7311; --group-2: #2c9a53; --group-3: #d03f4b; --group-4: #8a63c2;
  --group-5: #94633f; --group-6: #d464a8; --group-7: #6f7a87; --group-8: #969308; --group-9: #14a0b4;
  --step-0: #c6d8ee; --step-1: #a5c3e6; --step-2: #82acdb; --step-3: #6095cd;
  --step-4: #417ebc; --step-5: #2b66a3; --step-6: #1b4c80; --step-7: #0c2f55;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #12161c; --card: #1b2129; --ink: #e6eaf0; --faint: #a3aebc; --grid: #353e4a;
    --first: #6fb0ff; --second: #f5a25d; --good: #5cc98c; --note: #e3bd4f; --bad: #ff8a80;
    --group-0: #5e9bf0; --group-1: #f29544; --group-2: #4fbf77; --group-3: #f0707a; --group-4: #ad8be0;
    --group-5: #c08f68; --group-6: #ec8cc6; --group-7: #9aa5b3; --group-8: #c6c23c; --group-9: #3cc6da;
    --step-0: #23364d; --step-1: #2b4a6d; --step-2: #355f8e; --step-3: #4276ae;
    --step-4: #5a90c9; --step-5: #7dade0; --step-6: #a8cbf1; --step-7: #dcebfd;
  }
}
* { box-sizing: border-box; }
html { color-scheme: light dark; -webkit-text-size-adjust: 100%; }
body {
  margin: 0 auto; max-width: 74rem; padding: 1.6rem clamp(1rem, 3vw, 2.5rem) 4rem;
  background: var(--paper); color: var(--ink); overflow-wrap: break-word;
  font: 1rem/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", Arial, sans-serif;
}
h1, .what, dd { overflow-wrap: anywhere; }
h1 { margin: 0; font-size: clamp(1.5rem, 4.5vw, 2.3rem); line-height: 1.15; letter-spacing: -0.01em; }
h2 { margin: 0 0 .6rem; font-size: 1.3rem; }
h3 { margin: 0 0 .3rem; font-size: 1.05rem; }
section { margin-top: 2.6rem; }
.over { margin: 0 0 .3rem; color: var(--faint); font-size: .85rem; }
.what { margin: .5rem 0 1.2rem; font-size: 1.08rem; }
.lead { margin: 0 0 1rem; color: var(--faint); max-width: 46rem; }
.key { display: grid; grid-template-columns: repeat(auto-fill, minmax(max(10rem, 22%), 1fr)); gap: .6rem; margin: 0; }
.key div { background: var(--card); border-radius: .5rem; padding: .6rem .8rem; }
.key dt { color: var(--faint); font-size: .8rem; }
.key dd { margin: 0; font-weight: 600; overflow-wrap: break-word; }
.verdicts { list-style: none; margin: 0; padding: 0; display: grid; gap: .6rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
.verdicts li { display: flex; gap: .7rem; background: var(--card); border-radius: .5rem; padding: .75rem .9rem;
  border-left: .3rem solid var(--tone); }
.good { --tone: var(--good); } .note { --tone: var(--note); } .bad { --tone: var(--bad); }
.none { --tone: var(--faint); }
.icon { flex: none; width: 1.35rem; height: 1.35rem; margin-top: .1rem; }
.icon circle { fill: none; stroke: var(--tone); stroke-width: 1.6; }
.icon path { fill: none; stroke: var(--tone); stroke-width: 2.2; stroke-linecap: round; stroke-linejoin: round; }
.level { color: var(--tone); font-size: .8rem; font-weight: 600; margin-left: .3rem; }
.advice { display: block; color: var(--faint); margin-top: .25rem; }
.plots { display: grid; gap: 1.6rem 2.2rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.plots > *, .pair > * { min-width: 0; }
.pair { display: grid; gap: 0 2.2rem; grid-template-columns: repeat(auto-fit, minmax(min(100%, 27rem), 1fr)); }
.beside { display: flex; gap: 1rem; align-items: center; }
.beside .pixels { width: 7.5rem; max-width: none; }
figure { margin: 0; max-width: 36rem; }
figure > svg { display: block; width: 100%; height: auto; overflow: visible; }
figure > svg * { stroke-linejoin: round; }
figcaption { color: var(--faint); font-size: .88rem; margin-top: .35rem; }
.strip { list-style: none; display: grid; grid-template-columns: repeat(auto-fill, minmax(4.4rem, 1fr));
  gap: .9rem .6rem; margin: 0 0 1.4rem; padding: 0; }
.strip li { display: grid; gap: .25rem; justify-items: center; text-align: center; font-size: .82rem; }
.strip small { color: var(--faint); font-size: .78rem; }
.runs { list-style: none; display: grid; gap: 1.2rem 1.8rem; margin: 0 0 1.4rem; padding: 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 19rem), 1fr)); }
.runs li { min-width: 0; font-size: .85rem; }
.runs small { color: var(--faint); font-size: .78rem; margin-left: .4rem; }
.runs svg { display: block; width: 100%; height: auto; }
.clips { grid-template-columns: 1fr; }
.frames { display: grid; grid-auto-flow: column; grid-template-rows: auto auto auto; gap: .25rem .4rem;
  justify-content: start; grid-auto-columns: minmax(0, 6rem); margin-top: .3rem; text-align: center; }
.frames .pixels { width: 100%; }
.texts { grid-template-columns: repeat(auto-fill, minmax(min(100%, 27rem), 1fr)); }
.texts dl { display: grid; grid-template-columns: auto 1fr; gap: .1rem .7rem; margin: .2rem 0 0; }
.texts dt { color: var(--faint); }
.texts dd { margin: 0; min-width: 0; white-space: pre-wrap; overflow-wrap: anywhere;
  font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; }
.texts mark { background: none; color: var(--bad); font-weight: 700; text-decoration: underline 2px; }
.lines { display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: 0 0 .8rem; font-size: .9rem; }
.lines span::before { content: ""; display: inline-block; width: 1.9rem; margin: 0 .45rem .25rem 0;
  border-top: 2px solid var(--first); }
.lines .dashed::before { border-top: 2px dashed var(--second); }
.pixels { display: block; width: 100%; max-width: 6rem; image-rendering: pixelated; border-radius: .15rem; }
.gap { outline: 1px solid var(--grid); outline-offset: -1px; }
.scroll { overflow-x: auto; }
.scroll td:last-child { min-width: 10.5rem; }
.scroll td.number:last-child { min-width: 0; }
table { border-collapse: collapse; width: 100%; font-size: .9rem; }
caption { text-align: left; color: var(--faint); font-size: .88rem; padding-bottom: .35rem; }
th, td { padding: .34rem .7rem .34rem 0; border-bottom: 1px solid var(--grid); text-align: left; vertical-align: top; }
thead th { color: var(--faint); font-weight: 600; font-size: .82rem; }
tbody th { font-weight: 500; }
.number { text-align: right; font-variant-numeric: tabular-nums; overflow-wrap: normal; }
td small, th small { display: block; color: var(--faint); font-weight: 400; font-size: .82rem; }
.bar { display: inline-block; vertical-align: middle; width: 7rem; height: .7rem; margin-right: .5rem;
  background: var(--grid); border-radius: .2rem; overflow: hidden; }
.bar i { display: block; height: 100%; background: var(--first); }
.bar.over i { background: var(--second); }
.told td { white-space: nowrap; }
.told tbody th { min-width: 12rem; }
.cells td, .cells th { min-width: 7rem; }
.cells em { color: var(--faint); }
.cells .far { color: var(--second); }
summary { cursor: pointer; margin-bottom: .6rem; }
@media print {
  body { max-width: none; padding: 0; font-size: 10pt; }
  section, figure, li, tr { break-inside: avoid; }
  .verdicts li, .key div, .pixels, .bar, .bar i { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
}
"""
