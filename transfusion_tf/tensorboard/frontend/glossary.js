/** @file The project's words, for who meets them here first. */

export const GLOSSARY = Object.freeze({
  arm: "A model with an initialization, trained once for each seed.",
  scheme:
    "Where the first values of a network's weights come from. random: the " +
    "usual random values; transfer: another network's trained weights; " +
    "mean_var: random, with the mean and variance of trained weights; " +
    "transfuse:STAGE: trained weights up to a stage, random after it.",
  donor: "The trained weights that an initialization takes from.",
  stage:
    "Layers that the paper treats as one unit, such as conv1 or block2; a " +
    "network is a row of stages.",
  group: "The runs of one study that differ only in seed or fold.",
  similarity:
    "A score of how alike two layers answer to the same images; each measure " +
    "has its own range, named above.",
  "null level":
    "The score of the same activations when the images of one side are put " +
    "in another order: what layers score that share nothing. A score close " +
    "to it says little.",
  "before and after":
    "A stage at some training step against the same stage at step 0. 1 is an " +
    "unchanged representation.",
  "between runs":
    "Two runs, at the same step, on the same images: random with random, or " +
    "random with transfer (the paper's Figure 2).",
  "95 % interval over seeds":
    "Student's t over the runs of a group; drawn from 3 seeds. Below that " +
    "each run is shown.",
  "joint interval":
    "Over seeds and patients at once, by a bootstrap; paired, where two arms " +
    "are compared, by seed and patient.",
  "steps to a threshold":
    "Training steps until the validation score first reached a value fixed " +
    "before training. A run that never did counts as > its last step.",
});
