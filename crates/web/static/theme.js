// Runs before the page is painted, so that a chosen theme does not flash.
'use strict';
try {
  const chosen = localStorage.getItem('endcap-theme');
  if (chosen === 'light' || chosen === 'dark') document.documentElement.dataset.theme = chosen;
} catch { /* storage may be blocked; the system's theme applies */ }
