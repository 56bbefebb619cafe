// The page is whole without this. It adds a filter and a way to expand all.
(function () {
  'use strict';
  var controls = document.getElementById('controls');
  if (!controls) { return; }
  var checks = Array.prototype.slice.call(document.querySelectorAll('.check'));
  var groups = Array.prototype.slice.call(document.querySelectorAll('.group'));
  var boxes = Array.prototype.slice.call(controls.querySelectorAll('input[type=checkbox]'));
  var filter = document.getElementById('filter');
  var expand = document.getElementById('expand');
  var shown = document.getElementById('shown');
  // A text is read once, on the first key, since a page can be megabytes.
  var texts = null;

  function apply() {
    var wanted = filter.value.trim().toLowerCase();
    var verdicts = boxes.filter(function (b) { return b.checked; }).map(function (b) { return b.value; });
    if (wanted && !texts) { texts = checks.map(function (c) { return c.textContent.toLowerCase(); }); }
    var n = 0;
    checks.forEach(function (c, i) {
      var fits = verdicts.indexOf(c.dataset.verdict) >= 0 && (!wanted || texts[i].indexOf(wanted) >= 0);
      c.hidden = !fits;
      if (fits) { n++; }
    });
    groups.forEach(function (g) { g.hidden = !g.querySelector('.check:not([hidden])'); });
    shown.textContent = n === checks.length ? n + ' checks' : n + ' of ' + checks.length + ' checks';
  }

  function open(all) {
    document.querySelectorAll('details').forEach(function (d) { d.open = all; });
    expand.setAttribute('aria-expanded', String(all));
    expand.textContent = all ? 'Collapse all' : 'Expand all';
  }

  // A link to a check must lead to it whatever is filtered.
  function reveal() {
    var target = location.hash && document.getElementById(location.hash.slice(1));
    var check = target && target.closest('.check, .group');
    if (!check || !(check.hidden || check.closest('[hidden]'))) { return; }
    filter.value = '';
    boxes.forEach(function (b) { b.checked = true; });
    apply();
    check.scrollIntoView();
  }

  filter.addEventListener('input', apply);
  boxes.forEach(function (b) { b.addEventListener('change', apply); });
  expand.addEventListener('click', function () { open(expand.getAttribute('aria-expanded') !== 'true'); });
  window.addEventListener('hashchange', reveal);
  window.addEventListener('beforeprint', function () { open(true); });
  controls.hidden = false;
  apply();
})();
