(() => {
	"use strict";
	const data = JSON.parse(document.getElementById("data").textContent);
	const colour = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
	const drawn = [];

	// A number for people: as many digits as tell it from others, which are so far away.
	const text = (v, far) => {
		if (v == null) return "";
		const digits = far > 0 && v !== 0 ? Math.ceil(Math.log10(Math.abs(v) / far)) + 2 : 0;
		const short = Number(v.toPrecision(Math.min(Math.max(digits, 4), 17)));
		return Math.abs(short) < 1e7 ? String(short) : short.toExponential();
	};

	// Where the labels of a logarithmic axis stand: at few powers of ten or, when there are not enough, between them too.
	const powers = (u, i, low, high) => {
		const from = Math.floor(Math.log10(low)), to = Math.ceil(Math.log10(high));
		const every = Math.ceil((to - from) / 6), ticks = [];
		for (let n = from; n <= to; n += every)
			for (const f of to - from > 2 ? [1] : [1, 2, 5]) ticks.push(Number(f + "e" + n));
		return ticks.filter(v => v >= low && v <= high);
	};
	const step = v => Math.abs(v) < 1e6 ? v.toLocaleString("en") : v.toLocaleString("en", {notation: "compact", maximumFractionDigits: 2});

	const font = "12px system-ui, sans-serif";
	const ruler = document.createElement("canvas").getContext("2d");
	ruler.font = font;
	const wide = text => text ? ruler.measureText(text).width : 0;

	// Points of a curve that have no neighbour on the same line: without a dot they would not be seen.
	const alone = values => {
		const at = [];
		let before = null;
		for (let i = 0; i < values.length; i++) {
			if (values[i] === undefined) continue;
			let j = i + 1;
			while (j < values.length && values[j] === undefined) j++;
			if (values[i] !== null && before === null && (j === values.length || values[j] === null)) at.push(i);
			before = values[i];
		}
		return at;
	};

	// Between which values a chart stands. A flat curve is drawn in the middle.
	const range = (u, low, high) => {
		if (low === null) return [0, 1];
		if (low < high) return uPlot.rangeNum(low, high, 0.1, true);
		const room = Math.abs(low) / 10 || 1;
		return [low - room, low + room];
	};

	const draw = (figure, curves) => {
		const place = figure.querySelector(".plot");
		const buttons = [...figure.querySelectorAll(".legend button")];
		const lasts = buttons.map(b => b.querySelector(".value").textContent);
		const values = uPlot.join(curves.map(c => [c.x, c.y]));
		const dots = values.map(alone);
		// A logarithmic scale has no place for what is not positive.
		const positive = values.map((v, i) => i ? v.map(y => y === undefined || y > 0 ? y : null) : v);
		const logDots = positive.map(alone);
		const logButton = figure.querySelector(".log");
		let log = false;
		const size = () => ({width: Math.max(place.clientWidth, 160), height: place.closest(".one") ? 440 : 256});
		let plot = null;
		const make = () => {
			const shown = plot ? plot.series.map(s => s.show) : [];
			if (plot) plot.destroy();
			const axis = {stroke: colour("--soft"), font, grid: {stroke: colour("--line"), width: 1}, ticks: {stroke: colour("--line"), width: 1}};
			const ink = curves.map(c => colour("--c" + c.ink % 8));
			plot = new uPlot({
				...size(),
				scales: {x: {time: false}, y: log ? {distr: 3} : {range}},
				legend: {show: false},
				cursor: {y: false, focus: {prox: 24}, points: {size: 6}},
				focus: {alpha: 0.35},
				axes: [
					{...axis, size: 28, space: (u, i, low, high) => Math.max(60, 24 + Math.max(wide(step(low)), wide(step(high)))), values: (u, ticks) => ticks.map(v => Number.isInteger(v) ? step(v) : "")},
					{...axis, size: (u, ticks) => 22 + Math.max(24, ...(ticks || []).map(t => wide(t))), values: (u, ticks, i, space, far) => ticks.map(v => text(v, log ? 0 : far)),
						...(log ? {splits: powers, filter: (u, ticks) => ticks} : {})},
				],
				series: [{}, ...curves.map((c, i) => ({
					stroke: ink[i], width: 1.75, show: shown[i + 1] !== false,
					points: {size: 5, fill: ink[i], filter: (u, n, all) => all ? null : (log ? logDots : dots)[n]},
				}))],
				hooks: {
					setCursor: [u => buttons.forEach((b, i) => {
						const at = u.cursor.idxs && u.cursor.idxs[i + 1];
						const v = at == null || !(u.cursor.left >= 0) ? null : u.data[i + 1][at];
						b.querySelector(".value").textContent = v == null ? lasts[i] : text(v) + " at " + u.data[0][at].toLocaleString("en");
					})],
				},
			}, log ? positive : values, place);
		};
		make();
		logButton.hidden = !positive.some((v, i) => i && v.some(y => y > 0));
		logButton.addEventListener("click", () => {
			log = !log;
			logButton.setAttribute("aria-pressed", String(log));
			make();
		});
		buttons.forEach((b, i) => b.addEventListener("click", () => {
			const show = b.getAttribute("aria-pressed") !== "true";
			b.setAttribute("aria-pressed", String(show));
			plot.setSeries(i + 1, {show});
		}));
		drawn.push(make);
		new ResizeObserver(() => {
			if (plot.width !== size().width) plot.setSize(size());
		}).observe(place);
	};
	for (const [id, curves] of Object.entries(data)) draw(document.getElementById(id), curves);

	const again = () => drawn.forEach(make => make());
	matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);
	matchMedia("print").addEventListener("change", again);

	// Sorting: what is missing, or no number, comes last whichever way it goes.
	for (const table of document.querySelectorAll("table.sortable")) {
		const heads = [...table.tHead.rows[0].cells];
		heads.forEach((head, column) => head.querySelector("button").addEventListener("click", () => {
			const numbers = head.classList.contains("n");
			const was = head.getAttribute("aria-sort"), up = was ? was === "descending" : !numbers;
			heads.forEach(h => h.removeAttribute("aria-sort"));
			head.setAttribute("aria-sort", up ? "ascending" : "descending");
			const key = row => {
				const cell = row.cells[column], v = cell.dataset.v ?? cell.textContent.trim();
				return v === "" ? null : numbers ? (isNaN(v) ? null : Number(v)) : v;
			};
			const body = table.tBodies[0];
			[...body.rows].map(row => [key(row), row]).sort(([a], [b]) => {
				if (a === null || b === null) return (a === null) - (b === null);
				const order = numbers ? a - b : a.localeCompare(b, "en", {numeric: true});
				return up ? order : -order;
			}).forEach(([, row]) => body.append(row));
		}));
	}
})();
