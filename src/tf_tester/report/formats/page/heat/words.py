"""What the page says of grids, in English and Chinese."""

from collections.abc import Iterator, Mapping

from tf_tester.core.grid.compatibility import (
    GridReach,
    LoadDirection,
    Reach,
    ReachKind,
    VersionPair,
    reach_clause,
    reach_sentence,
)
from tf_tester.core.grid.guarantees import ProductGuarantee
from tf_tester.model.events import BorderFound, RouteFound
from tf_tester.model.field import FieldOutcome, GridSide
from tf_tester.report.formats.page.markup import Markup
from tf_tester.report.formats.page.words import in_both
from tf_tester.report.heat.words import border_words, guarantee_words, release_of, route_steps, route_title, route_words

CHINESE_OF_GRIDS = {
    "Saved by one version, loaded by another": "由一个版本保存，由另一个版本加载",
    "saved by (rows), loaded by (columns)": "行：保存的版本；列：加载的版本",
    "saved by": "保存的版本",
    "loaded by": "加载的版本",
    "Wrong numbers": "数值不同",
    "Kinds of failure": "失败的种类",
    "Since when": "从哪个版本开始",
    "Sign": "标记",
    "Fields": "格",
    "Reason": "原因",
    "Your line": "你的代码",
    "Product": "产物",
    "Release": "版本",
    "What changes": "变化",
    "Found": "查找过程",
    "Value": "数值",
    "at": "位置",
    "as it was saved": "保存时",
    "as it was loaded": "加载后",
    "numbers that differ": "不同的个数",
    "allowed": "允许的误差",
    "works": "可用",
    "fails, a letter for each kind": "失败，每种原因一个字母",
    "other numbers": "数值不同",
    "numbers vary from run to run": "每次运行的数值都不同",
    "not run": "未运行",
    "promised by the documentation": "文档所保证的",
    "promised, and broken": "有保证但未遵守",
    "There is a way": "有路径",
    "There is no way": "没有路径",
    "tried in vain": "尝试未果",
    "promised": "保证",
    "yes": "是",
    "no": "否",
    "product": "产物",
    "files": "文件",
    "SHA-256": "SHA-256",
    "try this field again": "重试此格",
    "{} saved by {}, loaded by {}": "{}：由 {} 保存，由 {} 加载",
    "What saved it": "由谁保存",
    "This report has no such field.": "本报告中没有该格。",
    "Its output is not in this page.": "其输出未包含在本页中。",
}
"""By the English words."""


def both_of_grids(words: str) -> Markup:
    """Return words of the page in both languages. Raises `KeyError` where Chinese lacks them."""
    return in_both(words, CHINESE_OF_GRIDS[words])


def sentence_told(found: GridReach) -> Markup:
    """Return the grid in one sentence."""
    return in_both(reach_sentence(found), "".join(_sentence(found)))


def clauses_told(found: GridReach) -> Markup:
    """Return both directions; nothing where nothing is known of them."""
    english = "; ".join(filter(None, map(reach_clause, (found.backward, found.forward))))
    return in_both(english, "；".join(filter(None, map(_clause, (found.backward, found.forward)))))


def guarantee_told(one: ProductGuarantee) -> Markup:
    """Return what is promised, which is told in the words of the data, and how much of it is kept."""
    promised = one.kept + len(one.breaches)
    source = f"{one.guarantee.kind} {one.guarantee.told} ({one.guarantee.source}, {one.guarantee.seen})"
    kept = f"：{promised} 格有保证，其中 {one.kept} 格做到" if one.across_versions and promised else ""
    return in_both(guarantee_words(one), source + kept)


def border_told(one: BorderFound, labels: Mapping[str, str]) -> Markup:
    """Return what changes with a release."""
    return in_both(border_words(one, labels), _border(one, labels))


def release_told(one: BorderFound) -> Markup:
    """Return the release that makes the difference, or those between which it lies."""
    return in_both(release_of(one), release_of(one).replace(" to ", " 至 "))


def route_title_told(one: RouteFound, labels: Mapping[str, str]) -> Markup:
    """Return from where to where."""
    start, goal = (labels.get(name, name) for name in (one.start, one.goal))
    return in_both(f"The way from {route_title(one, labels)}", f"从 {start} 到 {goal} 的路径")


def route_told(one: RouteFound, labels: Mapping[str, str]) -> Markup:
    """Return a way, or that there is none."""
    return in_both(route_words(one, labels), _route(one, labels))


def _sentence(found: GridReach) -> Iterator[str]:
    if not found.tried:
        yield "不清楚哪些版本能加载其他版本保存的内容：什么都没能加载。"
        return
    clauses = list(filter(None, map(_clause, (found.backward, found.forward))))
    if not clauses:
        yield f"{found.savers} 保存的内容，{found.loaders} 在 {found.tried} 格中的 {found.works} 格能加载。"
        return
    many = f"（{found.products} 个产物合计）" if found.products > 1 else ""
    yield f"{found.loaders}{many}：{'；'.join(clauses)}。"


def _clause(found: Reach) -> str:
    backward = found.direction is LoadDirection.BACKWARD
    loaders, savers = ("新版本", "旧版本") if backward else ("旧版本", "新版本")
    because = f"（{_broken(found.broken)}）" if found.broken is not None else ""
    match found.kind:
        case ReachKind.UNKNOWN:
            return ""
        case ReachKind.ALL:
            return f"{loaders}能加载所有{savers}保存的内容"
        case ReachKind.STEPS:
            next_to = "前一版本" if backward else "后一版本"
            return f"{loaders}能加载{next_to}保存的内容，但并非所有{savers}的{because}"
        case ReachKind.PARTLY:
            until = found.from_the_first and len(found.stretches) == 1
            ranges = "、".join(f"{first} 至 {last}" for first, last in found.stretches)
            where = f"到 {found.stretches[0][1]} 为止" if until else ranges
            return f"{loaders}能加载{savers}保存的内容：{where}{because}"
        case ReachKind.NONE:
            return f"{loaders}不能正确加载{savers}保存的内容{because}"


def _broken(pair: VersionPair) -> str:
    does = "得到不同的数值" if pair.outcome is FieldOutcome.WRONG_NUMBERS else "失败"
    return f"{pair.loaded} 加载 {pair.saved} 保存的内容时{does}"


def _border(one: BorderFound, labels: Mapping[str, str]) -> str:
    held = labels.get(one.held, one.held)
    does = "得到不同的数值" if one.outcome is FieldOutcome.WRONG_NUMBERS else "失败"
    others = f"{one.after} 及以后的版本" if one.breaks else f"{one.before} 及以前的版本"
    saver, loader = (others, held) if one.side is GridSide.SAVED else (held, others)
    since = f"{loader} 加载 {saver} 保存的内容时{does}" + ("" if one.breaks else f"，{one.after} 则不会")
    told = f"{since}：{one.summary}" if one.summary else since
    if one.trouble:
        return f"{told}；未能确定是哪个版本：{one.trouble}"
    return f"{told}；{'、'.join(one.between)} 无法测试" if one.between else told


def _route(one: RouteFound, labels: Mapping[str, str]) -> str:
    steps = _steps(one, labels)
    if one.arrived:
        checked = f"{'、'.join(one.compared)} 与保存时一致" if one.compared else "没有可比较的数值"
        return f"{steps}（已从头到尾运行；{checked}）"
    why = f"（{one.summary}）" if one.summary else ""
    if not one.hops:
        return f"没有路径{why}，也没有通向更接近的版本的路径"
    nearest = labels.get(one.hops[-1].consumer, one.hops[-1].consumer)
    return f"没有路径{why}，最近能到达 {nearest}：{steps}"


def _steps(one: RouteFound, labels: Mapping[str, str]) -> str:
    if not route_steps(one, labels):
        return ""
    words = []
    for hop in one.hops:
        words.append(f"用 {labels.get(hop.consumer, hop.consumer)} 加载")
        if hop.saved_as:
            words.append("重新保存" if hop.saved_as == hop.product else f"另存为 {hop.saved_as}")
    return "，".join(words)
