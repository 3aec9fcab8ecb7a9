"""What the page says itself, in English and Chinese; what tests, packages and findings say stays as it is."""

from collections.abc import Iterator, Sequence

from tf_tester.core.overview.sentence import sentence, version_ranges
from tf_tester.core.verdict.supports import Compatibility, SupportedVersions
from tf_tester.report.formats.page.markup import Markup, element

CHINESE = {
    "What works where": "各版本结果",
    "Tests": "测试",
    "every test": "全部测试",
    "What is wrong where": "各版本的失败原因",
    "Cause": "原因",
    "Why it fails": "失败原因",
    "Could not run": "无法运行",
    "Will break": "将会失效",
    "Dependencies that differ": "依赖的差异",
    "Time and memory": "时间与内存",
    "Remarks": "备注",
    "where": "范围",
    "first": "首个",
    "your line": "你的代码",
    "verdict": "判定",
    "pin": "固定版本",
    "enter it": "进入环境",
    "hint": "提示",
    "warned with": "发出警告的版本",
    "gone with": "失效的版本",
    "Traceback": "Traceback",
    "Output": "输出",
    "Details": "详情",
    "passed": "通过",
    "failed": "失败",
    "something else": "其他结果",
    "not run": "未运行",
    "of the tests, in seconds": "测试耗时（秒）",
    "of the import, in seconds": "导入耗时（秒）",
    "peak of memory, in MB": "内存峰值（MB）",
    "Distribution": "发行包",
    "Where the bytes came from": "下载来源",
    "Source": "来源",
    "Files": "文件",
    "Bytes": "字节",
    "Speed of a file": "单个文件的速度",
    "Troubles": "问题",
    "all": "合计",
    "Outcome": "结果",
    "Python": "Python",
    "Dependencies": "依赖",
    "Test": "测试",
    "Text": "文本",
    "Show all": "显示全部",
    "Close": "关闭",
    "Cell": "单元",
    "More rows": "更多行",
    "{} more rows": "还有 {} 行",
    "{} tests": "{} 个测试",
    "{} of {} tests": "{} / {} 个测试",
    "Shown: {} of {} tests, {} of {} cells, {} of {} reasons.": "显示：测试 {} / {}，单元 {} / {}，原因 {} / {}。",
    "Nothing matches.": "没有符合条件的内容。",
    "This report has no such cell or test.": "本报告中没有该单元或测试。",
    "{} more tests: the filter Test narrows them.": "还有 {} 个测试：可用“测试”筛选。",
    "… {} lines before": "… 前面还有 {} 行",
    "said": "信息",
    "besides": "另外",
    "exit status": "退出状态",
    "limit": "限制",
    "took": "用时",
    "{} of the processor": "处理器 {}",
    "remark": "备注",
    "Standard error": "标准错误",
    "Warnings": "警告",
    "Some of what it said is not in this page.": "部分输出未包含在本页中。",
    "Of {} tests of this cell the page has the outcome alone.": "该单元有 {} 个测试在本页中只有结果。",
    "Different from {}, which passes": "与通过的 {} 的差异",
    "No distribution differs.": "依赖没有差异。",
    "another file": "另一个文件",
    "What is installed ({})": "已安装的发行包（{} 个）",
    "The whole cell": "整个单元",
    "outcome": "结果",
    "time": "时间",
    "import": "导入",
    "memory": "内存",
    "replayed": "沿用结果的日期",
    "folder": "文件夹",
    "all of it": "全部内容",
}
"""By the English words."""

_VERBS = {
    Compatibility.YES: "可用",
    Compatibility.NO: "失败",
    Compatibility.PARTLY: "部分可用",
    Compatibility.UNKNOWN: "无法测试",
}


def both(words: str) -> Markup:
    """Return words of the page in both languages, of which one is shown. Raises `KeyError` where Chinese lacks them."""
    return in_both(words, CHINESE[words])


def in_both(english: str, chinese: str) -> Markup:
    """Return a text in both languages."""
    if english == chinese:
        return element("span", english)
    return Markup(element("span", english, lang="en") + element("span", chinese, lang="zh"))


def counted(count: int, english: str, chinese: str) -> Markup:
    """Return `3 tests` and `3 个测试`."""
    return in_both(f"{count} {english}{'' if count == 1 else 's'}", f"{count} 个{chinese}")


def told(supported: Sequence[SupportedVersions], reasons: int) -> Markup:
    """Return the run in one sentence."""
    return in_both(sentence(supported, reasons), "".join(_chinese(supported, reasons)))


def _chinese(supported: Sequence[SupportedVersions], reasons: int) -> Iterator[str]:
    if not supported:
        yield "没有运行任何测试。"
    for one in supported:
        found = version_ranges(one.versions)
        parts = []
        for works, verb in _VERBS.items():
            some = [found_one.text.replace(" to ", " 至 ") for found_one in found if found_one.works is works]
            if some:
                why = f"（{reasons} 个原因）" if works is Compatibility.NO and reasons else ""
                parts.append(f"{'、'.join(some)} {verb}{why}")
        yield f"{one.package}：{'；'.join(parts)}。"
