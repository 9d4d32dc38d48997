"""Rewrites the generated parts of the documents. Run by ``make docs``."""

from __future__ import annotations

from documents import PAGES, ROOT, with_generated_parts

from secrets_svc.runtime.settings_reference import reference


def main() -> None:
    """The settings reference, help blocks, the table of backends."""
    (ROOT / "docs" / "settings.md").write_text(reference(), encoding="utf-8")
    for page in PAGES:
        before = page.read_text(encoding="utf-8")
        after = with_generated_parts(before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(f"rewrote {page.relative_to(ROOT)}")


if __name__ == "__main__":
    main()
