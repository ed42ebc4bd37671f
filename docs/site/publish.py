"""Publishes what pages of docs/ link to outside it, as a hook of MkDocs.

Documents link to each other and to files of the repository by relative paths. The site has the same links. A
document beside docs/, such as ARCHITECTURE.md, becomes a page below `project/`. A file, such as
deploy/nginx.conf, becomes a page that shows it, and a folder a list of its files. A contract of spec/ is its
page below `reference/`. Nothing else is published, and a link to what is not there fails a strict build.
"""

import hashlib
import os
import posixpath
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import mermaidx
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
DOCS = "docs"
OUTSIDE = "project"
"""The folder of the site for what is not in docs/."""

# Published although no page need link to them.
_ROOT_DOCUMENTS = ("ARCHITECTURE.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md")
_SPEC = re.compile(r"spec/([\w-]+)\.yaml")
_ISSUER = re.compile(r"^( +)type: openIdConnect\n +openIdConnectUrl: .*$", re.MULTILINE)
_LANGUAGES = {
    ".yaml": "yaml",
    ".py": "python",
    ".json": "json",
    ".conf": "nginx",
    ".service": "ini",
    ".js": "js",
    ".html": "html",
    ".css": "css",
    ".svg": "xml",
    ".toml": "toml",
    ".cfg": "text",
    ".tpl": "yaml",
}
_MADE = {"node_modules", "__pycache__", "build", "dist"}
_IMAGES = {".png", ".svg", ".jpg"}
# What a link or an image may stand in, and what is neither: code.
_CODE = re.compile(r"(^(?P<fence>```+|~~~+).*?^(?P=fence)$|`[^`\n]+`)", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"(\]\(\s*<?)([^)\s>]+)|^(\[[^\]]+\]:\s*<?)(\S+)", re.MULTILINE)
_PICTURE = re.compile(
    r"<picture>\s*<source media=\"\(prefers-color-scheme: dark\)\" srcset=\"(?P<dark>[^\"]+)\">\s*"
    r"<img src=\"(?P<light>[^\"]+)\"(?: width=\"(?P<width>\d+)\")? alt=\"(?P<alt>[^\"]*)\">\s*</picture>"
)
_IMAGE = re.compile(r"<img src=\"(?P<src>[^\"]+)\"(?: width=\"(?P<width>\d+)\")? alt=\"(?P<alt>[^\"]*)\">")
_MERMAID = re.compile(r"```mermaid\n(.*?)```", re.DOTALL)
_ELSEWHERE = re.compile(r"[a-z][a-z0-9+.-]*:", re.IGNORECASE)


def place(path: str) -> str:
    """Where the site has a file or folder of the repository, by the path of its source."""
    if path == "README.md":
        return "index.md"
    if path == f"{DOCS}/decisions":
        return "decisions/index.md"
    if path.startswith(f"{DOCS}/"):
        return path.removeprefix(f"{DOCS}/")
    if spec := _SPEC.fullmatch(path):
        return f"reference/{spec[1]}.md"
    if (ROOT / path).is_dir():
        return f"{OUTSIDE}/{path}/index.md"
    if Path(path).suffix in _IMAGES:
        return f"{OUTSIDE}/{path}"
    return f"{OUTSIDE}/{path}" if path.endswith(".md") else f"{OUTSIDE}/{path}.md"


def _source(place_: str) -> str:
    """The path in the repository of what a page is made from."""
    return place_.removeprefix(f"{OUTSIDE}/") if place_.startswith(f"{OUTSIDE}/") else f"{DOCS}/{place_}"


def _rewritten(markdown: str, page: str) -> str:
    """The text of a page with each of its links as the site has it. `page`: its place."""
    folder = posixpath.dirname(_source(page))

    def link(target: str) -> str:
        name, mark, anchor = target.partition("#")
        if not name or _ELSEWHERE.match(name):
            return target
        path = posixpath.normpath(posixpath.join(folder, name))
        return posixpath.relpath(place(path), posixpath.dirname(page)) + mark + anchor

    def picture(match: re.Match[str]) -> str:
        width = f'{{ width="{match["width"]}" }}' if match["width"] else ""
        return "".join(f"![{match['alt']}]({match[kind]}#only-{kind}){width}" for kind in ("light", "dark"))

    def image(match: re.Match[str]) -> str:
        width = f'{{ width="{match["width"]}" }}' if match["width"] else ""
        return f"![{match['alt']}]({match['src']}){width}"

    def plain(text: str) -> str:
        text = _IMAGE.sub(image, _PICTURE.sub(picture, text))
        return _LINK.sub(lambda match: (match[1] or match[3]) + link(match[2] or match[4]), text)

    parts, end = [], 0
    for code in _CODE.finditer(markdown):
        parts += [plain(markdown[end : code.start()]), _drawn(code[0])]
        end = code.end()
    return "".join([*parts, plain(markdown[end:])])


@cache
def _drawn(block: str) -> str:
    """A block of code; one of Mermaid as SVG, drawn here, so that the site needs no script for it."""
    source = _MERMAID.fullmatch(block)
    if source is None:
        return block
    name = f"diagram-{hashlib.sha256(block.encode()).hexdigest()[:8]}"
    drawn = mermaidx.render(source[1], theme="neutral").svg().replace("my-svg", name)
    return f'<figure class="diagram">{drawn}</figure>'


def _linked(markdown: str, folder: str) -> Iterator[str]:
    """The paths in the repository, outside docs/, that a document in a folder links to."""
    for match in _LINK.finditer(_CODE.sub("", markdown)):
        name = (match[2] or match[4]).partition("#")[0]
        path = posixpath.normpath(posixpath.join(folder, name))
        if name and not _ELSEWHERE.match(name) and not path.startswith((f"{DOCS}/", "..")):
            yield path


def _shown(path: str) -> str:
    """A file as a page."""
    text = (ROOT / path).read_text(encoding="utf-8")
    language = _LANGUAGES.get(Path(path).suffix, "docker" if path == "Containerfile" else "text")
    return f"# {path}\n\n~~~~~~ {language}\n{text.rstrip()}\n~~~~~~\n"


def _files_of(folder: str) -> list[str]:
    """Without what is hidden, or was installed or made there."""
    found = (path.relative_to(ROOT) for path in (ROOT / folder).rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if not _MADE & set(path.parts) and not any(part.startswith(".") for part in path.parts)
    )


def _list_of(folder: str) -> str:
    """A folder as a page."""
    rows = [
        f"- [{os.path.relpath(path, folder)}]({os.path.relpath(path, folder)})" for path in _files_of(folder)
    ]
    return "\n".join([f"# {folder}/", "", *rows, ""])


def _decisions(files: Files) -> str:
    """The list of all decision records: the first line of each."""
    rows = []
    for file in sorted(files.documentation_pages(), key=lambda file: file.src_uri):
        if re.fullmatch(r"decisions/\d{4}-.*\.md", file.src_uri):
            title = file.content_string.partition("\n")[0].lstrip("# ")
            rows.append(f"- [{title}]({posixpath.basename(file.src_uri)})")
    return "\n".join(["# Decisions", "", "Why it is so. The latest is the last.", "", *rows, ""])


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Adds what is published from outside docs/."""
    files.append(File.generated(config, "decisions/index.md", content=_decisions(files)))
    waiting = list(_ROOT_DOCUMENTS)
    for file in files.documentation_pages():
        waiting += _linked(file.content_string, posixpath.dirname(_source(file.src_uri)))
    for spec in sorted((ROOT / "spec").glob("*.yaml")):
        # Swagger UI would ask the issuer of the example for its scopes.
        shown = _ISSUER.sub(r"\1type: http\n\1scheme: bearer", spec.read_text(encoding="utf-8"))
        files.append(File.generated(config, f"{OUTSIDE}/spec/{spec.name}", content=shown))
    while waiting:
        path = waiting.pop()
        if files.get_file_from_path(place(path)) is not None or not (ROOT / path).exists():
            continue
        if Path(path).suffix in _IMAGES:
            files.append(File.generated(config, place(path), abs_src_path=str(ROOT / path)))
            continue
        if (ROOT / path).is_dir():
            content = _list_of(path)
            waiting += _files_of(path)
        elif path.endswith(".md"):
            content = (ROOT / path).read_text(encoding="utf-8")
            waiting += _linked(content, posixpath.dirname(path))
        else:
            content = _shown(path)
        files.append(File.generated(config, place(path), content=content))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    return _rewritten(markdown, page.file.src_uri)
