// Returns what of the page people who see little, or use a keyboard alone, cannot use.
(() => {
  const wrong = [];
  const name = (e) => '<' + e.tagName.toLowerCase() + (e.className && e.className.baseVal === undefined ? '.' + e.className : '') + '> ' +
    (e.textContent || '').trim().slice(0, 40);
  const all = (selector) => [...document.querySelectorAll(selector)];
  const shown = (e) => e.checkVisibility({ checkVisibilityCSS: true }) && e.getClientRects().length > 0;

  // Structure.
  for (const one of ['header', 'main', 'footer', 'h1']) if (all(one).length !== 1) wrong.push(all(one).length + ' of ' + one);
  if (!document.documentElement.lang) wrong.push('no language');
  if (!document.title) wrong.push('no title');
  let level = 0;
  for (const h of all('h1, h2, h3, h4')) {
    const next = Number(h.tagName[1]);
    if (next > level + 1) wrong.push('after h' + level + ' comes ' + name(h));
    level = next;
  }
  const ids = all('[id]').map((e) => e.id);
  ids.filter((id, at) => ids.indexOf(id) !== at).forEach((id) => wrong.push('twice: id ' + id));
  for (const e of all('[aria-labelledby]')) if (!document.getElementById(e.getAttribute('aria-labelledby'))) wrong.push('label is missing: ' + name(e));
  for (const t of all('table')) {
    if (!t.caption || !t.caption.textContent.trim()) wrong.push('no caption: ' + name(t));
    if (!t.querySelector('th[scope]')) wrong.push('no heading cells: ' + name(t));
  }
  for (const n of all('nav')) if (!n.getAttribute('aria-label')) wrong.push('no label: ' + name(n));
  for (const e of all('input:not([type=hidden]), select')) if (e.labels.length !== 1) wrong.push('no label: ' + name(e) + e.id);
  for (const e of all('a, button')) if (!e.textContent.trim()) wrong.push('no text: ' + e.outerHTML);
  for (const e of all('svg')) if (e.getAttribute('aria-hidden') !== 'true') wrong.push('a drawing without a word: ' + name(e.parentElement));
  if (all('[aria-live=polite]').length !== 1) wrong.push('no place for news');

  // Contrast of all text with what is behind it: WCAG 2, 4.5 to 1.
  const canvas = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
  const rgba = (colour) => {
    canvas.clearRect(0, 0, 1, 1);
    canvas.fillStyle = colour;
    canvas.fillRect(0, 0, 1, 1);
    return [...canvas.getImageData(0, 0, 1, 1).data];
  };
  const luminance = ([r, g, b]) => {
    const [x, y, z] = [r, g, b].map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * x + 0.7152 * y + 0.0722 * z;
  };
  const behind = (e) => {
    for (; e; e = e.parentElement) {
      const colour = rgba(getComputedStyle(e).backgroundColor);
      if (colour[3] === 255) return colour;
      if (colour[3] !== 0) wrong.push('a background that shines through: ' + name(e));
    }
    return rgba(matchMedia('(prefers-color-scheme: dark)').matches ? '#121212' : '#fff');
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let texts = 0;
  for (let node; (node = walker.nextNode());) {
    const e = node.parentElement;
    if (!node.data.trim() || !shown(e)) continue;
    texts++;
    const [a, b] = [luminance(rgba(getComputedStyle(e).color)), luminance(behind(e))];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) wrong.push('contrast ' + contrast.toFixed(1) + ': ' + name(e));
  }
  if (texts < 10) wrong.push('only ' + texts + ' texts were looked at');
  return [...new Set(wrong)];
})()
