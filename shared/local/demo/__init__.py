"""Real partnerships, shipped as data with their sources and played through the public APIs only.

`play.play_all` plays them, `show.play_and_show` also prints timelines and figures. A second run changes nothing.
"""
