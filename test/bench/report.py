"""What the benchmarks' JSON says, as Markdown and as pictures.

    report.py FOLDER                 prints a Markdown table of every FOLDER/*.json
    report.py FOLDER --pictures TO   and draws each comparison as TO/NAME-TITLE.svg, by gnuplot
"""

import json
import pathlib
import re
import subprocess
import sys


def number(value, unit):
    """A value in a unit that a reader can take in, to three places."""
    if unit == "ns":
        for name, size in (("s", 1e9), ("ms", 1e6), ("us", 1e3)):
            if value >= size:
                value, unit = value / size, name
                break
    return f"{value:.3g} {unit}" if value < 999.5 else f"{value:,.0f} {unit}"


def comparisons(rows):
    """Rows of one title, in the order in which they were measured."""
    result = {}
    for row in rows:
        result.setdefault(row["comparison"], []).append(row)
    return result


def markdown(title, rows):
    lines = [f"**{title}**", ""]
    contenders = list(dict.fromkeys(row["contender"] for row in rows))
    if "x" in rows[0]:
        places = sorted({row["x"] for row in rows})
        values = {(row["contender"], row["x"]): row for row in rows}
        lines.append(f"| {rows[0]['x_label']} | " + " | ".join(f"{x:,.0f}" for x in places) + " |")
        lines.append("|---" * (len(places) + 1) + "|")
        for contender in contenders:
            cells = [
                number(values[contender, x]["median"], values[contender, x]["unit"])
                if (contender, x) in values
                else ""
                for x in places
            ]
            lines.append(f"| {contender} | " + " | ".join(cells) + " |")
    else:
        lines += ["| | median | middle half | ratio |", "|---|---|---|---|"]
        for row in rows:
            unit = row["unit"]
            half = f"{number(row['low'], unit)} - {number(row['high'], unit)}"
            lines.append(
                f"| {row['contender']} | {number(row['median'], unit)} | {half}"
                f" | {row['ratio']:.3g} |"
            )
    return "\n".join(lines) + "\n"


HEAD = """set terminal svg size {width},{height} font 'sans-serif,13' background '#ffffff' noenhanced
set output '{output}'
set title '{title}'
set border lc rgb '#555555'
set grid lc rgb '#dddddd' lt 1
"""


def text(words):
    return words.replace("'", "''")


def lines_picture(title, rows, output):
    contenders = list(dict.fromkeys(row["contender"] for row in rows))
    blocks = []
    for contender in contenders:
        points = [row for row in rows if row["contender"] == contender]
        blocks.append("\n".join(f"{p['x']} {p['median']} {p['low']} {p['high']}" for p in points))
    script = HEAD.format(width=760, height=420, output=output, title=text(title))
    script += "set logscale xy\nset format x '%.0s%c'\nset key outside below\n"
    script += f"set xlabel '{text(rows[0]['x_label'])}'\nset ylabel '{rows[0]['unit']}'\n"
    for index, block in enumerate(blocks):
        script += f"$data{index} << EOD\n{block}\nEOD\n"
    script += "plot " + ", ".join(
        f"$data{index} using 1:2:3:4 with yerrorlines lw 2 pt 7 ps 0.5 title '{text(contender)}'"
        for index, contender in enumerate(contenders)
    )
    return script + "\n"


def bars_picture(title, rows, output):
    data = []
    for place, row in enumerate(rows):
        label = number(row["median"], row["unit"])
        data.append(
            f"{len(rows) - place} {row['median']} {row['low']} {row['high']}"
            f' "{row["contender"]}" "{label}"'
        )
    # From a place below all of them: a bar of a logarithmic axis has no natural foot.
    least = min(row["low"] for row in rows if row["low"] > 0)
    foot = 10 ** (len(str(int(max(least, 1)))) - 1) / 2
    most = max(row["high"] for row in rows)
    script = HEAD.format(width=760, height=110 + 34 * len(rows), output=output, title=text(title))
    script += "set logscale x\nset style fill solid 0.7 noborder\nunset key\n"
    script += "set format x '%.0s%c'\nset lmargin 40\nset rmargin 12\n"
    script += f"set xlabel '{rows[0]['unit']}, median and middle half'\n"
    script += f"set xrange [{foot}:{most * 8}]\nset yrange [0.4:{len(rows) + 0.6}]\n"
    body = "\n".join(data)
    script += f"$data << EOD\n{body}\nEOD\n"
    script += (
        f"plot $data using 2:1:({foot}):2:($1-0.32):($1+0.32):ytic(5)"
        " with boxxyerror lc rgb '#4477aa', "
        "'' using 2:1:3:4 with xerrorbars lc rgb '#222222' pt 0, "
        "'' using ($4*1.12):1:6 with labels left\n"
    )
    return script


def picture(title, rows, output):
    draw = lines_picture if "x" in rows[0] else bars_picture
    subprocess.run(
        ["gnuplot"], input=draw(title, rows, output), text=True, check=True, encoding="utf-8"
    )


def main(arguments):
    folder = pathlib.Path(arguments[0])
    pictures = None
    if arguments[1:2] == ["--pictures"]:
        pictures = pathlib.Path(arguments[2])
        pictures.mkdir(parents=True, exist_ok=True)
    for file in sorted(folder.glob("*.json")):
        for title, rows in comparisons(json.loads(file.read_text())).items():
            print(markdown(title, rows))
            if pictures:
                name = re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")
                picture(title, rows, pictures / f"{file.stem}-{name}.svg")


if __name__ == "__main__":
    main(sys.argv[1:])
