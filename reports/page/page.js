// What the page of a report does by itself: charts are drawn when they come into view, tables sort and filter. Without
// scripts everything is still there to be read.
'use strict';
(function () {
  const FILTER_FROM = 12;  // rows; shorter tables are seen at a glance
  const LONG_FROM = 40;    // rows; longer tables scroll by themselves

  // Colours are the style sheet's variables, so that a drawn chart follows the colour scheme.
  const COLOURS = ['var(--c1)', 'var(--c2)', 'var(--c3)', 'var(--c4)', 'var(--c5)', 'var(--c6)', 'var(--c7)'];
  const TEXT = { labelColor: 'var(--ink)', titleColor: 'var(--soft)', labelFontSize: 11, titleFontSize: 11, titleFontWeight: 400 };
  const CONFIG = {
    background: 'transparent',
    font: 'system-ui, "Segoe UI", "DejaVu Sans", sans-serif',
    axis: { ...TEXT, gridColor: 'var(--line)', domainColor: 'var(--soft)', tickColor: 'var(--soft)', labelLimit: 260 },
    legend: { ...TEXT, labelLimit: 260, orient: 'top', columns: 4 },
    header: { ...TEXT, labelFontWeight: 600, labelAnchor: 'start' },
    range: { category: COLOURS },
    text: { color: 'var(--ink)' },
    rule: { color: 'var(--ink)' },
    view: { stroke: 'var(--line)' },
  };

  // Pictures in a grid do not know how wide their container is.
  function fit(spec, width) {
    const encoding = spec.encoding || {};
    const facet = spec.facet || encoding.facet;
    if (facet) {
      const columns = Math.max(1, Math.min(spec.columns || facet.columns || 3, Math.floor(width / 280)));
      if (spec.columns) spec.columns = columns; else facet.columns = columns;
      (spec.spec || spec).width = Math.floor(width / columns) - 75;
    } else if (encoding.row && spec.width === 'container') {
      const labels = encoding.y ? 190 : 70;
      spec.width = Math.max(240, width - labels);
    }
    return spec;
  }

  function draw(box) {
    if (box.dataset.drawn) return Promise.resolve();
    box.dataset.drawn = 'yes';
    const spec = fit(JSON.parse(document.getElementById(box.dataset.chart).textContent), Math.max(320, box.clientWidth));
    return vegaEmbed(box, spec, {
      // Vega-Lite warns of every picture that is as wide as its container and has rows of a fixed height: that is meant.
      logLevel: vega.Error,
      actions: false, renderer: 'svg', ast: true, expr: vegaInterpreter.expressionInterpreter, config: CONFIG,
    }).then(
      () => { box.dataset.drawn = 'done'; },
      (error) => { box.textContent = 'This chart could not be drawn (' + error.message + '): its numbers are in the table below.'; box.dataset.drawn = 'failed'; console.error(error); },
    );
  }

  const boxes = [...document.querySelectorAll('.chart')];
  if (typeof vegaEmbed === 'function') {
    const seen = new IntersectionObserver((entries) => {
      for (const entry of entries)
        if (entry.isIntersecting) { seen.unobserve(entry.target); draw(entry.target); }
    }, { rootMargin: '600px' });
    boxes.forEach((box) => seen.observe(box));
    window.addEventListener('beforeprint', () => boxes.forEach(draw));
  } else {
    boxes.forEach((box) => box.remove());
  }

  function key(row, column) {
    const cell = row.cells[column];
    return cell.dataset.v === undefined ? null : Number(cell.dataset.v);
  }

  // Numbers by value, then words; what is missing stands last in either direction.
  function sort(table, column, down) {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => ({ row, number: key(row, column), text: row.cells[column].textContent }));
    const missing = (r) => r.number === null && (r.text === '–' || r.text === '');
    rows.sort((a, b) => {
      if (missing(a) !== missing(b)) return missing(a) ? 1 : -1;
      const order = a.number !== null && b.number !== null ? a.number - b.number
        : a.number !== null ? -1 : b.number !== null ? 1 : a.text < b.text ? -1 : a.text > b.text ? 1 : 0;
      return down ? -order : order;
    });
    const fragment = document.createDocumentFragment();
    rows.forEach((r) => fragment.append(r.row));
    body.append(fragment);
  }

  function sortable(table) {
    const heads = [...table.tHead.rows[0].cells];
    heads.forEach((head, column) => {
      if (head.classList.contains('plain')) return;
      const button = document.createElement('button');
      button.type = 'button';
      button.textContent = head.textContent;
      head.replaceChildren(button);
      button.addEventListener('click', () => {
        const down = head.getAttribute('aria-sort') === 'ascending';
        heads.forEach((other) => other.removeAttribute('aria-sort'));
        head.setAttribute('aria-sort', down ? 'descending' : 'ascending');
        sort(table, column, down);
      });
    });
  }

  function filterable(table, scroll) {
    const rows = [...table.tBodies[0].rows];
    if (rows.length < FILTER_FROM) return;
    if (rows.length >= LONG_FROM) scroll.classList.add('long');
    const bar = document.createElement('div');
    bar.className = 'filter';
    const label = document.createElement('label');
    const input = document.createElement('input');
    const count = document.createElement('output');
    input.type = 'search';
    label.append('Filter: ', input);
    label.title = 'Rows that have all of these words';
    bar.append(label, count);
    count.value = rows.length + ' rows';
    const texts = [];
    input.addEventListener('input', () => {
      if (texts.length === 0) rows.forEach((row) => texts.push(row.textContent.toLowerCase()));
      const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row, i) => {
        row.hidden = !words.every((word) => texts[i].includes(word));
        shown += row.hidden ? 0 : 1;
      });
      count.value = shown + ' of ' + rows.length + ' rows';
    });
    scroll.before(bar);
  }

  document.querySelectorAll('.scroll').forEach((scroll) => {
    const table = scroll.querySelector('table');
    if (table.tBodies[0].rows.length > 1) sortable(table);
    filterable(table, scroll);
  });

  // Which page is being read.
  const links = new Map([...document.querySelectorAll('nav a')].map((a) => [a.hash.slice(1), a]));
  const current = new IntersectionObserver((entries) => {
    for (const entry of entries) {
      if (!entry.isIntersecting) continue;
      links.forEach((a) => a.removeAttribute('aria-current'));
      links.get(entry.target.id)?.setAttribute('aria-current', 'location');
    }
  }, { rootMargin: '-10% 0px -80% 0px' });
  document.querySelectorAll('main > section').forEach((section) => current.observe(section));
})();
