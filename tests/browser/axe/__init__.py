"""axe-core, which looks for what keeps a reader out: missing labels, weak contrast, what no keyboard reaches."""

from pathlib import Path

from playwright.sync_api import Page

AXE = Path(__file__).parent / "axe.min.js"


def serious(page: Page) -> list[str]:
    """What is serious or critical on the page as it stands: the rule, where, and what would be right."""
    if not page.evaluate("'axe' in window"):
        page.add_script_tag(path=AXE)
    results = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(results["passes"]) > 10, "it has looked"
    return [
        f"{rule['id']}: {node['target']} {node['failureSummary']}"
        for rule in results["violations"]
        if rule["impact"] in ("serious", "critical")
        for node in rule["nodes"]
    ]
