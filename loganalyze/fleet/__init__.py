"""Many runs at once: find them, diagnose each, remember what was read, and compare them.

find ─▶ units ─▶ work (a process or a cluster) ─▶ rows ─▶ Scan ─▶ patterns, neighbours
                   ▲                                │
                   └──────────── index ◀────────────┘
"""
